// A whole run against the protocol, from the job to the last report, on a phantom that fits a hand.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { exitCodes } from '../../trainer/settings.ts';
import { testedOperations } from '../../trainer/tensorflow/operations.ts';
import { makeSnapshot } from '../support/tiny-dataset.ts';
import { job, makeTinyRun, settings, snapshot, type TinyRun } from '../support/tiny-run.ts';

let tiny: TinyRun;
const child = makeSnapshot({ t0: 1, t1: 1, t2: 1, t3: 3 }, { parentDigest: snapshot.digest });

beforeAll(async () => {
  tiny = await makeTinyRun();
});
afterAll(() => tiny.remove());
beforeEach(() => {
  tiny.outPath = tiny.newFolder();
  tiny.said = [];
});

test('a run reports metrics, ledger and summary, and leaves checkpoints', async () => {
  const service = tiny.makeService();
  expect(await tiny.run(service)).toBe(exitCodes.done);
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

test('the loss of a step is the loss of its case times the factor of the snapshot', async () => {
  const single = { ...settings, epochs: 6, drawsPerEpoch: 1, batchSize: 1 };
  const service = tiny.makeService({ job: { ...job, settings: single } });
  expect(await tiny.run(service)).toBe(exitCodes.done);
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
  const service = tiny.makeService({ job: { ...job, settings: many }, snapshots: [infinite] });
  expect(await tiny.run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toBe('instability: 10 steps in a row were not finite');
  expect(service.metrics('skippedSteps').map(({ value }) => value)).toEqual([10]);
  const steps = service.metrics('nonFinite').map(({ step, value }) => [step, value]);
  expect(steps).toEqual(Array.from({ length: 10 }, (_, k) => [k + 1, 1]));
  expect(service.ledger().map(({ draws }) => draws)).toEqual([20]);
  expect(service.metrics('loss')).toEqual([]);
});

test('a stop is obeyed at once, with ledger, checkpoint and a final report', async () => {
  const service = tiny.makeService();
  service.state.answer = (report) => ({ stop: (report.progress?.step ?? 0) >= 2 });
  expect(await tiny.run(service)).toBe(exitCodes.stopped);
  const last = service.metrics('loss').at(-1)!.step;
  expect(last).toBeLessThan(6);
  expect(service.ledger().map(({ epoch, from, draws }) => [epoch, from, draws])).toEqual([
    [0, 0, last * 2],
  ]);
  expect(service.state.finished).toMatchObject({ outcome: 'failed', error: 'stopped on request' });
  expect(service.state.finished!.artifacts!.map(({ name }) => name)).toEqual(['checkpoint-latest']);
});

test('a child snapshot is used from its epoch on', async () => {
  const service = tiny.makeService({ snapshots: [snapshot, child] });
  service.state.answer = () => ({ snapshot: { digest: child.digest, fromEpoch: 2 } });
  expect(await tiny.run(service)).toBe(exitCodes.done);
  expect(service.ledger().map((range) => range.snapshot)).toEqual([
    snapshot.digest,
    snapshot.digest,
    child.digest,
  ]);
});

test('a snapshot row altered on the way is refused before the first step', async () => {
  const altered = structuredClone(snapshot);
  altered.cases[0]!.lossFactor *= 2;
  const service = tiny.makeService({ snapshots: [altered] });
  expect(await tiny.run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toContain('was altered on the way');
  expect(service.metrics('loss')).toEqual([]);
});

test('a file that is not the one of the data set is refused by its name', async () => {
  const path = join(tiny.root, 'data', tiny.cases[2]!.files[0]!.path);
  const before = readFileSync(path);
  writeFileSync(path, Buffer.concat([before, Buffer.from('x')]));
  try {
    const service = tiny.makeService();
    expect(await tiny.run(service)).toBe(exitCodes.failed);
    expect(service.state.finished!.error).toContain(tiny.cases[2]!.files[0]!.path);
    expect(service.metrics('loss')).toEqual([]);
  } finally {
    writeFileSync(path, before);
  }
});

test('a path out of the data folder is refused', async () => {
  const outside = structuredClone(tiny.cases);
  outside[0]!.files[0]!.path = '../../etc/passwd';
  const service = tiny.makeService({ cases: outside });
  expect(await tiny.run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toContain('../../etc/passwd');
});

test('a service that is away for a while loses no report', async () => {
  const service = tiny.makeService();
  let fallen = false;
  service.state.answer = () => {
    if (!fallen) service.state.away = 12;
    fallen = true;
    return {};
  };
  expect(await tiny.run(service)).toBe(exitCodes.done);
  expect(service.metrics('loss').map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(service.ledger()).toHaveLength(3);
  const sequences = service.state.reports.map(({ sequence }) => sequence);
  expect(sequences).toEqual(sequences.map((_, i) => i));
});

test('a revoked attempt leaves without another word', async () => {
  const service = tiny.makeService();
  service.state.answer = () => {
    service.state.revoked = true;
    return {};
  };
  expect(await tiny.run(service)).toBe(exitCodes.revoked);
  expect(service.state.finished).toBeNull();
  expect(tiny.said.at(-1)).toContain('this attempt was revoked');
});

test.each([
  ['batch Dice', { allowBatchDice: true }, 'allowBatchDice'],
  ['a setting that does not exist', { lr: 1 }, 'lr'],
])('%s is a configuration error', async (_what, more, named) => {
  const service = tiny.makeService({ job: { ...job, settings: { ...settings, ...more } } });
  expect(await tiny.run(service)).toBe(exitCodes.configuration);
  expect(tiny.said.join('\n')).toContain(named);
});

test('a snapshot with a case that the job lacks is refused, naming it', async () => {
  const service = tiny.makeService({ cases: tiny.cases.filter(({ id }) => id !== 't2') });
  expect(await tiny.run(service)).toBe(exitCodes.failed);
  expect(service.state.finished!.error).toContain('t2');
});
