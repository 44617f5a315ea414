// A whole run against the protocol, from the job to the last report, on a phantom that fits a hand.

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Report, TrainerCase } from '../../api/contract/trainer.ts';
import { train } from '../../trainer/main.ts';
import type { Surroundings } from '../../trainer/run.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { testedOperations } from '../../trainer/tensorflow/operations.ts';
import { tickingClock } from '../support/ticking-clock.ts';
import { makeSnapshot, writeTinyDataset } from '../support/tiny-dataset.ts';
import { createTrainerService, type TrainerService } from '../support/trainer-service.ts';

const settings = {
  epochs: 3,
  drawsPerEpoch: 6,
  batchSize: 2,
  network: { features: [2, 4] },
  patch: [4, 8, 8],
  validateEvery: 2,
  augmentation: 'full',
  foregroundShare: 0.5,
  prefetch: 2,
};
const job = {
  id: 'job1',
  seed: 11,
  labels: { background: 0, blob: 1 },
  channels: { '0': 'MRI' },
};

let root: string;
let cases: TrainerCase[];
let outPath: string;
let said: string[];
const snapshot = makeSnapshot({ t0: 3, t1: 1, t2: 1, t3: 1 });
const child = makeSnapshot({ t0: 1, t1: 1, t2: 1, t3: 3 }, { parentDigest: snapshot.digest });

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cw-main-'));
  cases = await writeTinyDataset(join(root, 'data'), {
    train: ['t0', 't1', 't2', 't3'],
    val: ['v0', 'v1'],
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  outPath = mkdtempSync(join(root, 'out-'));
  said = [];
});

function makeService(more: Partial<Parameters<typeof createTrainerService>[0]> = {}) {
  return createTrainerService({ job: { ...job, settings }, snapshots: [snapshot], cases, ...more });
}

function run(service: TrainerService, more: Partial<Surroundings> = {}): Promise<number> {
  return train({
    environment: {
      api: 'http://service',
      job: job.id,
      token: service.state.token,
      dataPath: join(root, 'data'),
      outPath,
      threads: null,
      backend: 'cpu',
    },
    fetch: service.fetch,
    clock: tickingClock(),
    signal: new AbortController().signal,
    say: (line) => said.push(line),
    ...more,
  });
}

/** What must not depend on interruptions: loss and gradient of a step, figures of validation. */
function figuresOf(...services: TrainerService[]) {
  const names = ['loss', 'gradientNorm', 'dice', 'diceMean', 'volumeRatio', 'validationLoss'];
  const figures: Record<string, number> = {};
  for (const service of services) {
    for (const name of names) {
      for (const metric of service.metrics(name)) {
        const key = [name, metric.step, metric.group ?? '', metric.class ?? ''].join(' ');
        figures[key] = metric.value;
      }
    }
  }
  return figures;
}

test('a run reports metrics, ledger and summary, and leaves checkpoints', async () => {
  const service = makeService();
  expect(await run(service)).toBe(exitCodes.done);
  expect(service.ledger().map(({ epoch, from, draws }) => [epoch, from, draws])).toEqual([
    [0, 0, 6],
    [1, 0, 6],
    [2, 0, 6],
  ]);
  expect(service.metrics('loss').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const name of [
    'gradientNorm',
    'clippedShare',
    'learningRate',
    'secondsPerStep',
    'waitSeconds',
  ]) {
    expect(service.metrics(name).length, name).toBeGreaterThan(0);
  }
  expect(service.metrics('skippedSteps').map(({ value }) => value)).toEqual([0, 0, 0]);
  expect(service.metrics('diceMean').filter(({ group }) => !group)).toHaveLength(2);
  const groups = service.metrics('dice').map((metric) => metric.group);
  expect(groups).toContain('site=A');
  expect(groups).toContain('site=B');
  const seen = service.state.reports
    .flatMap((report) => report.caseLosses ?? [])
    .reduce((sum, { seen }) => sum + seen, 0);
  expect(seen).toBe(18);
  const { outcome, summary, artifacts } = service.state.finished!;
  expect(outcome).toBe('succeeded');
  expect(summary).toMatchObject({ steps: 9, backend: 'cpu' });
  expect(summary.seconds).toBeGreaterThanOrEqual(9);
  expect(Object.keys(summary.dice!)).toEqual(['blob', 'mean']);
  expect(artifacts!.map(({ name }) => name)).toEqual(['checkpoint-latest', 'checkpoint-best']);
  expect(service.log()).toContain('digest and sums verified');
  const told = service.state.reports.filter(({ environment }) => environment !== undefined);
  expect(told).toEqual([service.state.reports[0]]);
  expect(told[0].environment).toMatchObject({ backend: 'cpu', device: expect.any(String) });
  expect(told[0].environment?.selfTest).toMatchObject({ operations: testedOperations.length });
});

test('a run stopped at any step goes on to the numbers of one that never stopped', async () => {
  // Made in line, so that batches made ahead are shown to be the same ones.
  const whole = makeService({ job: { ...job, settings: { ...settings, prefetch: 0 } } });
  expect(await run(whole)).toBe(exitCodes.done);
  for (const stopAfter of [2, 3, 5]) {
    outPath = mkdtempSync(join(root, 'out-'));
    const stopping = new AbortController();
    const first = makeService();
    const clock = tickingClock();
    let looks = 0;
    const { now } = clock;
    clock.now = () => {
      looks = first.state.reports.length;
      return now();
    };
    const stopAt = (report: Report) => {
      if ((report.progress?.step ?? 0) >= stopAfter) stopping.abort();
      return {};
    };
    first.state.answer = stopAt;
    expect(await run(first, { signal: stopping.signal, clock })).toBe(exitCodes.stopped);
    expect(looks).toBeGreaterThan(0);
    expect(first.state.finished).toMatchObject({ outcome: 'failed', error: 'stopped by SIGTERM' });
    const second = makeService({ job: { ...job, settings, attempt: 2 } });
    expect(await run(second)).toBe(exitCodes.done);
    expect(figuresOf(first, second)).toEqual(figuresOf(whole));
    const drawn = [...first.ledger(), ...second.ledger()].reduce(
      (sum, { draws }) => sum + draws,
      0,
    );
    expect(drawn).toBe(18);
    expect(second.state.finished!.summary.dice).toEqual(whole.state.finished!.summary.dice);
  }
});

test('a run that was killed goes on from its last checkpoint to the same numbers', async () => {
  const whole = makeService();
  await run(whole);
  outPath = mkdtempSync(join(root, 'out-'));
  const first = makeService();
  const saved = mkdtempSync(join(root, 'saved-'));
  first.state.answer = (report) => {
    if (report.progress && report.progress.step > 6) {
      copyFileSync(join(outPath, 'checkpoint-latest.cwc'), join(saved, 'checkpoint-latest.cwc'));
    }
    return {};
  };
  await run(first);
  outPath = saved;
  const second = makeService();
  expect(await run(second)).toBe(exitCodes.done);
  expect(second.metrics('loss')[0]!.step).toBe(7);
  expect(figuresOf(second)).toEqual(
    Object.fromEntries(
      Object.entries(figuresOf(whole)).filter(([key]) => Number(key.split(' ')[1]) > 6),
    ),
  );
});

test('the loss of a step is the loss of its case times the factor of the snapshot', async () => {
  const single = { ...settings, epochs: 6, drawsPerEpoch: 1, batchSize: 1 };
  const service = makeService({ job: { ...job, settings: single } });
  expect(await run(service)).toBe(exitCodes.done);
  const drawn = service.state.reports.flatMap((report) => report.caseLosses ?? []);
  const factorOf = new Map(snapshot.cases.map(({ id, lossFactor }) => [id, lossFactor]));
  expect(new Set(drawn.map(({ id }) => factorOf.get(id))).size).toBe(2);
  const expected = drawn.map(({ id, loss }) => loss * factorOf.get(id)!);
  service.metrics('loss').forEach(({ value }, i) => {
    expect(value).toBeCloseTo(expected[i], 5);
  });
});

test('steps that are not finite are skipped, and ten in a row end the run', async () => {
  const infinite = makeSnapshot({ t0: 3, t1: 1, t2: 1, t3: 1 }, { lossFactor: 1e300 });
  const many = { ...settings, drawsPerEpoch: 40 };
  const service = makeService({ job: { ...job, settings: many }, snapshots: [infinite] });
  expect(await run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toBe('instability: 10 steps in a row were not finite');
  expect(service.metrics('skippedSteps').map(({ value }) => value)).toEqual([10]);
  const steps = service.metrics('nonFinite').map(({ step, value }) => [step, value]);
  expect(steps).toEqual(Array.from({ length: 10 }, (_, k) => [k + 1, 1]));
  expect(service.ledger().map(({ draws }) => draws)).toEqual([20]);
  expect(service.metrics('loss')).toEqual([]);
});

test('a stop is obeyed at once, with ledger, checkpoint and a final report', async () => {
  const service = makeService();
  service.state.answer = (report) => ({ stop: (report.progress?.step ?? 0) >= 2 });
  expect(await run(service)).toBe(exitCodes.stopped);
  const last = service.metrics('loss').at(-1)!.step;
  expect(last).toBeLessThan(6);
  expect(service.ledger().map(({ epoch, from, draws }) => [epoch, from, draws])).toEqual([
    [0, 0, last * 2],
  ]);
  expect(service.state.finished).toMatchObject({ outcome: 'failed', error: 'stopped on request' });
  expect(service.state.finished!.artifacts!.map(({ name }) => name)).toEqual(['checkpoint-latest']);
});

test('a child snapshot is used from its epoch on', async () => {
  const service = makeService({ snapshots: [snapshot, child] });
  service.state.answer = () => ({ snapshot: { digest: child.digest, fromEpoch: 2 } });
  expect(await run(service)).toBe(exitCodes.done);
  expect(service.ledger().map((range) => range.snapshot)).toEqual([
    snapshot.digest,
    snapshot.digest,
    child.digest,
  ]);
});

test('a snapshot row altered on the way is refused before the first step', async () => {
  const altered = structuredClone(snapshot);
  altered.cases[0]!.lossFactor *= 2;
  const service = makeService({ snapshots: [altered] });
  expect(await run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toContain('was altered on the way');
  expect(service.metrics('loss')).toEqual([]);
});

test('a file that is not the one of the data set is refused by its name', async () => {
  const path = join(root, 'data', cases[2]!.files[0]!.path);
  const before = readFileSync(path);
  writeFileSync(path, Buffer.concat([before, Buffer.from('x')]));
  try {
    const service = makeService();
    expect(await run(service)).toBe(exitCodes.failed);
    expect(service.state.finished!.error).toContain(cases[2]!.files[0]!.path);
    expect(service.metrics('loss')).toEqual([]);
  } finally {
    writeFileSync(path, before);
  }
});

test('a path out of the data folder is refused', async () => {
  const outside = structuredClone(cases);
  outside[0]!.files[0]!.path = '../../etc/passwd';
  const service = makeService({ cases: outside });
  expect(await run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toContain('../../etc/passwd');
});

test('a service that is away for a while loses no report', async () => {
  const service = makeService();
  let fallen = false;
  service.state.answer = () => {
    if (!fallen) service.state.away = 12;
    fallen = true;
    return {};
  };
  expect(await run(service)).toBe(exitCodes.done);
  expect(service.metrics('loss').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(service.ledger()).toHaveLength(3);
  const sequences = service.state.reports.map(({ sequence }) => sequence);
  expect(sequences).toEqual(sequences.map((_, i) => i));
});

test('a revoked attempt leaves without another word', async () => {
  const service = makeService();
  service.state.answer = () => {
    service.state.revoked = true;
    return {};
  };
  expect(await run(service)).toBe(exitCodes.revoked);
  expect(service.state.finished).toBeNull();
  expect(said.at(-1)).toContain('this attempt was revoked');
});

test.each([
  ['batch Dice', { allowBatchDice: true }, 'allowBatchDice'],
  ['a setting that does not exist', { lr: 1 }, 'lr'],
])('%s is a configuration error', async (_what, more, named) => {
  const service = makeService({ job: { ...job, settings: { ...settings, ...more } } });
  expect(await run(service)).toBe(exitCodes.configuration);
  expect(said.join('\n')).toContain(named);
});

test('a snapshot with a case that the job lacks is refused, naming it', async () => {
  const service = makeService({ cases: cases.filter(({ id }) => id !== 't2') });
  expect(await run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toContain('t2');
});
