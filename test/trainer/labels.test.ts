// Classes, regions and voxels that nobody labelled: what they mean, and that the latter count for
// nothing anywhere.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openCases } from '../../trainer/batches.ts';
import { loadCase } from '../../trainer/data.ts';
import { allowedValues, labelTask, reportedNames, summaryKeys } from '../../trainer/labels.ts';
import { writeVolume } from '../../trainer/nifti.ts';
import { labelImage, taskCounts, taskVolumeLoss } from '../../trainer/task-figures.ts';

const brain = { background: 0, core: [2, 3], whole: [1, 2, 3], enhancing: [3], ignore: 4 };

describe('what labels mean', () => {
  test('classes are ordered by value, the background first', () => {
    const task = labelTask({ b: 2, background: 0, a: 1 });
    expect(task).toEqual({
      names: ['background', 'a', 'b'],
      regions: null,
      written: [0, 1, 2],
      ignore: null,
    });
    expect(reportedNames(task)).toEqual(['background', 'a', 'b']);
    expect(summaryKeys(task)).toEqual(['1', '2']);
  });

  test('regions go from the widest to the narrowest, each written as what is its own', () => {
    const task = labelTask(brain);
    expect(task).toEqual({
      names: ['whole', 'core', 'enhancing'],
      regions: [[1, 2, 3], [2, 3], [3]],
      written: [1, 2, 3],
      ignore: 4,
    });
    expect(reportedNames(task)).toEqual(['background', 'whole', 'core', 'enhancing']);
    expect(summaryKeys(task)).toEqual(['(1, 2, 3)', '(2, 3)', '3']);
    expect([...allowedValues(task)].sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test.each([
    ['a gap', { background: 0, a: 2 }, 'no label has the value 1'],
    ['one value twice', { background: 0, a: 1, b: 1 }, '"a" and "b" are both 1'],
    ['nothing to find', { background: 0 }, 'no label besides background'],
    ['an ignore that is not the highest', { background: 0, a: 1, ignore: 1 }, 'highest value'],
    ['an ignore of several values', { background: 0, a: 1, ignore: [2] }, 'must be one value'],
    [
      'a region that narrower ones cover',
      { background: 0, whole: [1, 2], a: 1, b: 2 },
      '"whole" has no value of its own',
    ],
    ['a region with the background', { background: 0, all: [0, 1, 2] }, 'contains the background'],
  ])('refuses %s', (_, labels, says) => {
    expect(() => labelTask(labels as never)).toThrow(says);
  });
});

describe('what a prediction is worth', () => {
  const task = labelTask(brain);

  test('regions above a half are written over each other', () => {
    const probabilities = Float32Array.from([
      ...[0.4, 0.9, 0.1],
      ...[0.9, 0.4, 0.1],
      ...[0.9, 0.9, 0.6],
      ...[0.1, 0.2, 0.3],
    ]);
    expect([...labelImage(probabilities, task)]).toEqual([2, 1, 3, 0]);
  });

  test('counts regions within regions, and leaves out what nobody labelled', () => {
    const counts = taskCounts(Uint8Array.of(3, 2, 1, 0, 3), Uint8Array.of(3, 1, 1, 2, 4), task);
    expect(counts).toEqual([
      { predicted: 1, truth: 0, both: 0 },
      { predicted: 3, truth: 4, both: 3 },
      { predicted: 2, truth: 2, both: 1 },
      { predicted: 1, truth: 1, both: 1 },
    ]);
  });

  test('the loss of a volume is that of the voxels that somebody labelled', () => {
    const probabilities = Float32Array.from([0.9, 0.2, 0.1, 0.3, 0.3, 0.3, 0.8, 0.7, 0.2]);
    const without = Float32Array.from([0.9, 0.2, 0.1, 0.8, 0.7, 0.2]);
    const whole = taskVolumeLoss(probabilities, Uint8Array.of(1, 4, 2), task);
    expect(whole).toBeCloseTo(taskVolumeLoss(without, Uint8Array.of(1, 2), task), 12);
    const entropies = [0.9, 0.8, 0.9, 0.8, 0.7, 0.8].map((p) => -Math.log(p));
    const entropy = entropies.reduce((a, b) => a + b) / 6;
    const dice = [(2 * 1.7) / (1.7 + 2), (2 * 0.7) / (0.9 + 1), 1e-5 / (0.3 + 1e-5)];
    const wanted = entropy + 1 - (dice[0] + dice[1] + dice[2]) / 3;
    expect(whole).toBeCloseTo(wanted, 4);
    const classes = labelTask({ background: 0, a: 1, ignore: 2 });
    const two = Float32Array.from([0.2, 0.8, 0.5, 0.5, 0.9, 0.1]);
    expect(taskVolumeLoss(two, Uint8Array.of(1, 2, 0), classes)).toBeCloseTo(
      taskVolumeLoss(Float32Array.from([0.2, 0.8, 0.9, 0.1]), Uint8Array.of(1, 0), classes),
      10,
    );
  });
});

test('no patch is made to show voxels that nobody labelled', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'cw-ignored-'));
  const [image, label] = [join(dir, 'a_0000.nii.gz'), join(dir, 'a.nii.gz')];
  const grid = { shape: [1, 2, 3] as [number, number, number], spacing: [1, 1, 1] as never };
  await writeVolume(image, { data: Float32Array.from([1, 2, 3, 4, 5, 6]), ...grid });
  await writeVolume(label, { data: Float32Array.from([0, 1, 2, 2, 1, 0]), ...grid }, 'uint8');
  const files = { id: 'a', images: [image], label, values: new Set([0, 1, 2]) };
  expect([...(await loadCase(files)).foreground.keys()]).toEqual([1, 2]);
  const loaded = await loadCase({ ...files, ignore: 2 });
  expect([...loaded.foreground.keys()]).toEqual([1]);
  expect([...loaded.labels]).toEqual([0, 1, 2, 2, 1, 0]);
});

test('a job with an ignore label reads one value more, and only then', () => {
  const given = { lines: [], dataPath: '', channelCount: 1, classCount: 2, cacheBytes: 1 };
  const task = labelTask({ background: 0, a: 1, ignore: 2 });
  const { values, ignore } = openCases({ ...given, task }).loading;
  expect({ values: [...values], ignore }).toEqual({ values: [0, 1, 2], ignore: 2 });
  expect([...openCases(given).loading.values]).toEqual([0, 1]);
});
