// A whole run on thick slices of several spacings with two channels, planned from its cases alone.

import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { TrainingPlan } from '../../../api/contract/plans.ts';
import type { TrainerCase } from '../../../api/contract/trainer.ts';
import { philoxWords } from '../../../api/weights/philox.ts';
import { train } from '../../../trainer/main.ts';
import { readVolume, type Size, writeVolume } from '../../../trainer/nifti.ts';
import { scoreFold } from '../../../trainer/score.ts';
import { exitCodes } from '../../../trainer/settings.ts';
import { backendUnderTest } from '../../support/native.ts';
import { tickingClock } from '../../support/ticking-clock.ts';
import { makeSnapshot } from '../../support/tiny-dataset.ts';
import { createTrainerService, type TrainerService } from '../../support/trainer-service.ts';

const job = {
  id: 'job1',
  seed: 3,
  labels: { background: 0, ball: 1 },
  channels: { '0': 'CT', '1': 'MRI' },
};
const settings = { epochs: 8, drawsPerEpoch: 8, batchSize: 2, validateEvery: 8 };
const snapshot = makeSnapshot({ t0: 1, t1: 2, t2: 1 });
const grids: Record<string, { shape: Size; spacing: Size }> = {
  t0: { shape: [6, 24, 24], spacing: [5, 1, 1] },
  t1: { shape: [6, 24, 24], spacing: [5, 1, 1] },
  t2: { shape: [10, 24, 30], spacing: [3, 1, 0.8] },
  v0: { shape: [5, 48, 24], spacing: [6, 0.5, 1] },
};

let root: string;
let outPath: string;
let cases: TrainerCase[];
let said: string[];

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cw-thick-'));
  for (const folder of ['imagesTr', 'labelsTr']) mkdirSync(join(root, folder));
  cases = await Promise.all(Object.keys(grids).map((id, k) => writeCase(id, k)));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  outPath = mkdtempSync(join(root, 'out-'));
  said = [];
});

// A ball of 9 mm: dense on CT, dark on MRI, and noise.
async function writeCase(id: string, place: number): Promise<TrainerCase> {
  const { shape, spacing } = grids[id]!;
  const random = philoxWords([7, place]);
  const count = shape[0] * shape[1] * shape[2];
  const [ct, mri, labels] = [0, 1, 2].map(() => new Float32Array(count));
  for (let k = 0; k < count; k++) {
    const [z, y, x] = [
      Math.floor(k / (shape[1] * shape[2])),
      Math.floor(k / shape[2]) % shape[1],
      k % shape[2],
    ];
    const mm = [z, y, x].map((at, axis) => (at + 0.5) * spacing[axis]!);
    const inside = Math.hypot(mm[0]! - 14, mm[1]! - 12, mm[2]! - 10 - place) < 9;
    labels![k] = Number(inside);
    ct![k] = (inside ? 60 : -80) + random.below(40);
    mri![k] = (inside ? 0 : 50) + random.below(30);
  }
  const files = [
    [`imagesTr/${id}_0000.nii.gz`, ct!],
    [`imagesTr/${id}_0001.nii.gz`, mri!],
    [`labelsTr/${id}.nii.gz`, labels!],
  ] as const;
  for (const [path, data] of files) await writeVolume(join(root, path), { data, shape, spacing });
  const hashed = files.map(([path]) => ({
    path,
    sha256: createHash('sha256')
      .update(readFileSync(join(root, path)))
      .digest('hex'),
  }));
  const side = id.startsWith('t') ? 'train' : 'val';
  return { id, side, groups: {}, scoreDecile: null, files: hashed };
}

const serviceOf = (more: object = {}) =>
  createTrainerService({
    job: { ...job, settings: { ...settings, ...more } },
    snapshots: [snapshot],
    cases,
  });

function run(service: TrainerService, signal = new AbortController().signal): Promise<number> {
  const environment = {
    api: 'http://service',
    job: job.id,
    token: service.state.token,
    dataPath: root,
    outPath,
    threads: null,
    backend: backendUnderTest as 'wasm' | 'native',
  };
  const say = (line: string) => said.push(line);
  return train({ environment, fetch: service.fetch, clock: tickingClock(), signal, say });
}

/** The checkpoint scored by itself, from nothing but its file and the images. */
async function scoreLatest() {
  const dataset = { name: 'Thick', channel_names: job.channels, labels: job.labels };
  writeFileSync(join(root, 'dataset.json'), JSON.stringify(dataset));
  const split = [{ train: ['t0', 't1', 't2'], val: ['v0'] }];
  writeFileSync(join(root, 'splits_final.json'), JSON.stringify(split));
  const request = {
    checkpoint: join(outPath, 'checkpoint-latest.cwc'),
    dataDir: root,
    outDir: join(outPath, 'scored'),
    splitFile: null,
    fold: null,
    backend: backendUnderTest as 'wasm' | 'native',
    mirror: true,
    anyway: false,
  };
  return (await scoreFold(request, { say: () => {}, tell: () => {} })).summary;
}

const storedPlan = () => JSON.parse(readFileSync(join(outPath, 'plan.json'), 'utf8'));
const plansOf = ({ state }: TrainerService): TrainingPlan[] =>
  state.reports.flatMap(({ plan }) => plan ?? []);

test('thick slices of several spacings are planned, resampled, learned and compared', async () => {
  const service = serviceOf();
  expect(await run(service)).toBe(exitCodes.done);
  const [plan] = plansOf(service);
  expect(plan).toMatchObject({
    // The tenth percentile of 3, 5 and 5 mm, for the slices are thick and few.
    spacing: [3.4, 1, 1],
    medianShape: [9, 24, 24],
    cases: { training: 3, resampled: 3 },
    patch: [10, 24, 24],
    features: [8, 16, 32],
    kernels: [
      [1, 3, 3],
      [3, 3, 3],
      [3, 3, 3],
    ],
    strides: [
      [1, 1, 1],
      [1, 2, 2],
      [2, 2, 2],
    ],
    overridden: [],
  });
  expect(plan!.normalization).toMatchObject([{ kind: 'ct' }, { kind: 'zScore' }]);
  const [scale] = plan!.normalization;
  if (scale?.kind !== 'ct') throw new Error('CT is not scaled as CT');
  expect(scale.low).toBeGreaterThanOrEqual(60);
  expect(scale.high).toBeLessThanOrEqual(99);
  expect(storedPlan()).toEqual({ job: 'job1', plan });
  expect(said).toContain(
    'plan: spacing 3.4 x 1 x 1 mm, median case 9 x 24 x 24; 3 of 3 training cases are resampled',
  );
  const { dice } = service.state.finished!.summary;
  expect(dice!.ball).toBeGreaterThan(0.8);
  const { foreground_mean: scored } = await scoreLatest();
  expect(scored.Dice).toBeCloseTo(dice!.ball!, 6);
  const { shape, spacing } = await readVolume(join(outPath, 'scored/v0.nii.gz'));
  expect(shape).toEqual(grids.v0!.shape);
  expect(spacing.map((mm) => Number(mm.toFixed(5)))).toEqual(grids.v0!.spacing);
});

test('a later attempt goes on with the stored plan, and a checkpoint of another is not used', async () => {
  const stopping = new AbortController();
  const small = { network: { features: [4, 8] } };
  const first = serviceOf(small);
  first.state.answer = ({ progress }) => {
    if ((progress?.step ?? 0) >= 8) stopping.abort();
    return {};
  };
  expect(await run(first, stopping.signal)).toBe(exitCodes.stopped);
  const { plan } = storedPlan() as { plan: TrainingPlan };
  said = [];
  const second = serviceOf(small);
  second.state.answer = () => ({ stop: true });
  expect(await run(second)).toBe(exitCodes.stopped);
  expect(plansOf(second)).toEqual([plan]);
  expect(said).toContain('plan: as an earlier attempt stored it in plan.json');
  expect(said.some((line) => line.startsWith('continues at epoch'))).toBe(true);
  const coarse = { ...plan, spacing: [6, 1, 1] };
  writeFileSync(join(outPath, 'plan.json'), JSON.stringify({ job: 'job1', plan: coarse }));
  said = [];
  const third = serviceOf(small);
  third.state.answer = () => ({ stop: true });
  expect(await run(third)).toBe(exitCodes.stopped);
  expect(said.some((line) => line.startsWith('continues at epoch'))).toBe(false);
  expect(said).toContain('checkpoint-latest.cwc was made with other settings: not used');
});

test('what the data set does not fit is refused before anything is learned', async () => {
  const says = async (more: object) => {
    const service = serviceOf(more);
    expect(await run(service)).toBe(exitCodes.configuration);
    return service.state.finished!.error;
  };
  expect(await says({ patch: [10, 30, 24] })).toContain('must be multiples of 2 x 4 x 4');
  expect(await says({ normalization: ['zScore'] })).toContain('has 2 channels: CT, MRI');
  const [one, ...others] = cases;
  const [image, ...rest] = one!.files;
  const other = { ...image!, path: 'imagesTr/t0_0000.mha' };
  cases = [{ ...one!, files: [other, ...rest] }, ...others];
  expect(await says({})).toMatch(
    /case t0: .*t0_0000.mha: a file ending .mha is not read; convert it to .nii.gz/,
  );
  cases = [one!, ...others];
});
