// Planning from files: what is read of them, how CT is scaled, and that the plan is kept for later.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { CaseFiles } from '../../../trainer/data.ts';
import { type Size, writeVolume } from '../../../trainer/nifti.ts';
import {
  ctNormalization,
  normalizationKinds,
  writeNormalized,
} from '../../../trainer/planning/normalization.ts';
import { planFromFiles, readPlan, writePlan } from '../../../trainer/planning/record.ts';
import { exitCodes, resolveSettings } from '../../../trainer/settings.ts';

const root = mkdtempSync(join(tmpdir(), 'cw-planning-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let written = 0;

/** A case of ones outside and `inside` in its foreground, whose last voxel is of class 2. */
async function caseOf(
  shape: Size,
  spacing: Size,
  { inside = [10, 20, 30, 40], label = 1 }: { inside?: number[]; label?: number } = {},
): Promise<CaseFiles> {
  const id = `case${written++}`;
  const voxels = shape[0] * shape[1] * shape[2];
  const at = (k: number) => voxels - inside.length + k;
  const image = new Float32Array(voxels).fill(1);
  const labels = new Float32Array(voxels);
  for (const [k, value] of inside.entries()) {
    image[at(k)] = value;
    labels[at(k)] = k === inside.length - 1 ? 2 : label;
  }
  const paths = [`${id}_0000.nii.gz`, `${id}_0001.nii.gz`, `${id}.nii.gz`].map((name) =>
    join(root, name),
  );
  for (const path of paths.slice(0, 2)) await writeVolume(path, { data: image, shape, spacing });
  await writeVolume(paths[2]!, { data: labels, shape, spacing }, 'uint8');
  return { id, images: paths.slice(0, 2), label: paths[2]! };
}

const labels = { background: 0, organ: 1, lesion: 2 };
const channels = ['CT', 'PET'];

function planned(training: CaseFiles[], settings: object = {}, more: object = {}) {
  const resolved = resolveSettings({ settings } as never, null);
  const given = { training, settings: resolved, channels, labels, classes: 3, ...more };
  return planFromFiles(given);
}

describe('a plan from files', () => {
  test('has the median of their grids, and CT scaled by the foreground of all of them', async () => {
    const training = [
      await caseOf([4, 20, 20], [3, 1, 1]),
      await caseOf([8, 20, 20], [1, 1, 1], { inside: [50, 60, 70, 80] }),
      await caseOf([4, 20, 20], [2, 1, 1], { inside: [] }),
    ];
    const plan = await planned(training);
    expect(plan.spacing).toEqual([2, 1, 1]);
    expect(plan.cases).toEqual({ training: 3, resampled: 2 });
    const mean = 45;
    const deviation = Math.sqrt((35 ** 2 + 25 ** 2 + 15 ** 2 + 5 ** 2) / 4);
    expect(plan.normalization).toEqual([
      {
        kind: 'ct',
        low: expect.closeTo(10 + 0.005 * 7 * 10, 4),
        high: expect.closeTo(80 - 0.005 * 7 * 10, 4),
        mean: expect.closeTo(mean, 4),
        deviation: expect.closeTo(deviation, 4),
      },
      { kind: 'zScore' },
    ]);
    expect(await planned(training)).toEqual(plan);
  });

  test('leaves out what is to be ignored', async () => {
    const training = [await caseOf([4, 20, 20], [1, 1, 1])];
    const all = await planned(training, {}, { labels: { background: 0, organ: [1, 2] } });
    expect(all.normalization[0]).toMatchObject({ mean: 25 });
    const some = { labels: { background: 0, organ: 1, ignore: 2 } };
    expect((await planned(training, {}, some)).normalization[0]).toMatchObject({ mean: 20 });
  });

  test('follows the normalization of the settings, one per channel', async () => {
    const training = [await caseOf([4, 20, 20], [1, 1, 1])];
    const settings = { normalization: ['none', 'ct'] };
    const { normalization, overridden } = await planned(training, settings);
    expect(normalization).toMatchObject([{ kind: 'none' }, { kind: 'ct', mean: 25 }]);
    expect(overridden).toEqual(['normalization']);
    await expect(planned(training, { normalization: ['none'] })).rejects.toMatchObject({
      exitCode: exitCodes.configuration,
      message: 'settings.normalization has 1 entries, but the data set has 2 channels: CT, PET',
    });
  });

  test('names a file that cannot be read, and cases without foreground', async () => {
    const [good, empty] = [
      await caseOf([4, 9, 9], [1, 1, 1]),
      await caseOf([4, 9, 9], [1, 1, 1], { inside: [] }),
    ];
    const bad = { ...good, label: join(root, 'bad.nii.gz') };
    writeFileSync(bad.label, 'no image');
    await expect(planned([good, bad])).rejects.toThrow(`${bad.label}: this is not a NIfTI file`);
    await expect(planned([empty])).rejects.toThrow('the training cases have no foreground');
    const holed = await caseOf([4, 9, 9], [1, 1, 1], { inside: [1, Number.NaN, 2] });
    await expect(planned([holed])).rejects.toThrow(`${holed.images[0]}: the image holds voxels`);
  });
});

describe('scales', () => {
  test('go by the name of the channel', () => {
    expect(normalizationKinds(['CT', 'ct', 'noNorm', 'T1', 'CTA'])).toEqual([
      'ct',
      'ct',
      'none',
      'zScore',
      'zScore',
    ]);
  });

  test('of CT clip and divide by what the training cases say; none leaves a channel alone', () => {
    const normalization = ctNormalization(Float32Array.from({ length: 1001 }, (_, k) => k));
    expect(normalization).toMatchObject({ low: 5, high: 995, mean: 500 });
    const image = new Float32Array(6);
    const data = Float32Array.of(-1000, 500, 2000);
    const more = { channels: 2, path: 'a.nii.gz' };
    writeNormalized(image, data, { ...more, channel: 0, normalization });
    writeNormalized(image, data, { ...more, channel: 1, normalization: { kind: 'none' } });
    const side = 495 / Math.sqrt((1001 ** 2 - 1) / 12);
    expect([...image].map((value) => Number(value.toFixed(4)))).toEqual(
      [-side, -1000, 0, 500, side, 2000].map((value) => Number(value.toFixed(4))),
    );
    for (const hole of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const broken = Float32Array.of(1, hole, 2);
      for (const kind of ['none', 'zScore'] as const) {
        const given = { ...more, channel: 0, normalization: { kind } };
        expect(() => writeNormalized(image, broken, given)).toThrow(
          'a.nii.gz: the image holds voxels that are not finite',
        );
      }
    }
  });
});

test('a plan is kept for later attempts of its job, and for no other', async () => {
  const out = join(root, 'out');
  mkdirSync(out);
  const said: string[] = [];
  const read = (job: string) => readPlan(out, job, (line) => said.push(line));
  expect(read('job1')).toBeNull();
  const plan = await planned([await caseOf([4, 20, 20], [3, 1, 1])]);
  await writePlan(out, 'job1', plan);
  expect(read('job1')).toEqual(plan);
  expect(said).toEqual([]);
  expect(read('job2')).toBeNull();
  writeFileSync(join(out, 'plan.json'), '{"job": "job1", "plan": {}}');
  expect(read('job1')).toBeNull();
  expect(said).toEqual([
    'plan.json is of job job1: not used',
    expect.stringMatching(/^plan.json cannot be read .*: not used$/s),
  ]);
});
