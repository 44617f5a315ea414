// A whole run on regions within regions, with voxels that nobody labelled, and its score.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run } from '../../trainer/cli.ts';
import { systemIo } from '../../trainer/commands/io.ts';
import { fileSha256 } from '../../trainer/data.ts';
import { readVolume, writeVolume } from '../../trainer/nifti.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { job, makeTinyRun, settings, type TinyRun } from '../support/tiny-run.ts';

const labels = { background: 0, whole: [1, 2], core: [2], ignore: 3 };
let tiny: TinyRun;
let data: string;

beforeAll(async () => {
  tiny = await makeTinyRun();
  data = join(tiny.root, 'data');
  for (const { files } of tiny.cases) {
    const file = files.find(({ path }) => path.startsWith('labelsTr/')) as { path: string };
    const path = join(data, file.path);
    const volume = await readVolume(path);
    // The upper slices of the cube are its core; the last rows of every slice nobody labelled.
    const [, height, width] = volume.shape;
    const changed = volume.data.map((value, k) => {
      if (Math.floor(k / width) % height === height - 1) return 3;
      return value === 1 && k >= 3 * height * width ? 2 : value;
    });
    await writeVolume(path, { ...volume, data: changed }, 'uint8');
    Object.assign(file, { sha256: await fileSha256(path) });
  }
  const task = { channel_names: { '0': 'MRI' }, labels, file_ending: '.nii.gz' };
  writeFileSync(join(data, 'dataset.json'), JSON.stringify(task));
  const fold = { train: ['t0', 't1', 't2', 't3'], val: ['v0', 'v1'] };
  writeFileSync(join(data, 'splits_final.json'), JSON.stringify([fold]));
});
afterAll(() => tiny.remove());

test('regions are learned, judged each for itself, and scored as nnU-Net names them', async () => {
  const deep = { ...settings, epochs: 12, network: { features: [2, 4, 4], deepSupervision: true } };
  const service = tiny.makeService({ job: { ...job, labels, settings: deep } });
  expect(await tiny.run(service)).toBe(exitCodes.done);
  const { dice } = service.state.finished?.summary ?? {};
  expect(Object.keys(dice ?? {})).toEqual(['whole', 'core', 'mean']);
  const losses = service.metrics('caseLoss').filter(({ group }) => group === undefined);
  expect(losses.at(-1)?.value).toBeLessThan(losses[0].value);

  const out = tiny.newFolder();
  const checkpoint = join(tiny.outPath, 'checkpoint-latest.cwc');
  const said: string[] = [];
  const io = { ...systemIo, say: (line: string) => said.push(line), out: () => {} };
  const options = ['--data', data, '--out', out, '--backend', 'cpu'];
  expect(await run(['score', checkpoint, ...options], io)).toBe(0);
  const summary = JSON.parse(readFileSync(join(out, 'summary.json'), 'utf8'));
  expect(Object.keys(summary.mean).sort()).toEqual(['(1, 2)', '2']);
  expect(said).toContain(`whole: mean Dice ${dice?.whole?.toFixed(4)}`);
  expect(summary.mean['(1, 2)'].Dice).toBeCloseTo(dice?.whole as number, 6);
  const truth = await readVolume(join(data, 'labelsTr/v0.nii.gz'));
  const predicted = await readVolume(join(out, 'v0.nii.gz'));
  expect(predicted.data.every((value) => value <= 2)).toBe(true);
  const [first] = summary.metric_per_case;
  const count = (wanted: (value: number) => boolean) => truth.data.filter(wanted).length;
  expect(first.metrics['(1, 2)'].n_ref).toBe(count((value) => value === 1 || value === 2));
  expect(first.metrics['2'].n_ref).toBe(count((value) => value === 2));
});
