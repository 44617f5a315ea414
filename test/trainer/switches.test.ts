// Which snapshot an epoch is drawn by: as the service planned it, also for an attempt that begins
// again at an old checkpoint, in the middle of an epoch, or without any.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Report } from '../../api/contract/trainer.ts';
import { createReporter } from '../../trainer/report.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { plannedDigest, withSwitch } from '../../trainer/switches.ts';
import { tickingClock } from '../support/ticking-clock.ts';
import { makeSnapshot } from '../support/tiny-dataset.ts';
import { job, makeTinyRun, settings, snapshot, type TinyRun } from '../support/tiny-run.ts';
import type { TrainerService } from '../support/trainer-service.ts';

const first = makeSnapshot({ t0: 2, t1: 1, t2: 1, t3: 1 }, { parentDigest: snapshot.digest });
const second = makeSnapshot({ t0: 1, t1: 1, t2: 1, t3: 3 }, { parentDigest: first.digest });
const snapshots = [snapshot, first, second] as [typeof snapshot, ...(typeof snapshot)[]];
const plan = [
  { digest: first.digest, fromEpoch: 1 },
  { digest: second.digest, fromEpoch: 2 },
];

let tiny: TinyRun;
beforeAll(async () => {
  tiny = await makeTinyRun();
});
afterAll(() => tiny.remove());
beforeEach(() => {
  tiny.outPath = tiny.newFolder();
});

const drawnBy = (service: TrainerService) =>
  service.ledger().map((range) => [range.epoch, range.from, range.snapshot]);

describe('a plan of switches', () => {
  test('names for an epoch the last one that began at it or before', () => {
    expect([0, 1, 2, 9].map((epoch) => plannedDigest(plan, epoch))).toEqual([
      null,
      first.digest,
      second.digest,
      second.digest,
    ]);
    expect(plannedDigest([], 3)).toBeNull();
  });

  test('stays in the order of epochs, and the later word about one holds', () => {
    const [one, two] = plan;
    expect(withSwitch([two!], one!)).toEqual(plan);
    const other = { digest: snapshot.digest, fromEpoch: 2 };
    expect(withSwitch(plan, other)).toEqual([one, other]);
  });
});

test('an attempt that has no checkpoint draws by all that was decided before it', async () => {
  const again = { ...job, settings, attempt: 2, snapshots: plan };
  const service = tiny.makeService({ job: again, snapshots });
  expect(await tiny.run(service)).toBe(exitCodes.done);
  expect(drawnBy(service)).toEqual([
    [0, 0, snapshot.digest],
    [1, 0, first.digest],
    [2, 0, second.digest],
  ]);
});

test('an epoch begun before a stop is ended by its snapshot, the next by the plan', async () => {
  const stopping = new AbortController();
  const longer = { ...job, settings: { ...settings, drawsPerEpoch: 20 } };
  const before = tiny.makeService({ job: longer, snapshots });
  before.state.answer = (report: Report) => {
    if ((report.progress?.step ?? 0) >= 11) stopping.abort();
    return { snapshot: plan[0]! };
  };
  // Every look at the clock is seconds: a report is sent in passing after each step.
  const stopped = await tiny.run(before, { signal: stopping.signal, clock: tickingClock() });
  expect(stopped).toBe(exitCodes.stopped);
  const begun = drawnBy(before);
  expect(begun.map(([epoch]) => epoch)).toEqual([0, 1]);
  const [, drawn] = before.ledger();
  expect(drawn!.draws).toBeLessThan(20);
  const again = { ...longer, attempt: 2, snapshots: plan };
  const after = tiny.makeService({ job: again, snapshots });
  expect(await tiny.run(after)).toBe(exitCodes.done);
  expect([...begun, ...drawnBy(after)]).toEqual([
    [0, 0, snapshot.digest],
    [1, 0, first.digest],
    [1, drawn!.draws, first.digest],
    [2, 0, second.digest],
  ]);
  // Each draw is evidence once: what the stop cut in two is told apart by where it began.
  const seen = [before, after]
    .flatMap((service) => service.state.reports.flatMap(({ caseLosses = [] }) => caseLosses))
    .filter(({ epoch }) => epoch === 1)
    .map(({ from, seen: draws }) => [from, draws] as const);
  expect(new Set(seen.map(([from]) => from))).toEqual(new Set([0, drawn!.draws]));
  expect(seen.reduce((sum, [, draws]) => sum + draws, 0)).toBe(20);
});

test('a switch that is the answer to a report sent in passing is not lost', async () => {
  const told = [{ accepted: true as const, stop: false, snapshot: plan[0]! }];
  const reporter = createReporter({
    service: { report: async () => told.shift() ?? { accepted: true, stop: false } },
    clock: tickingClock(),
    outPath: tiny.outPath,
    attempt: 1,
    nextSequence: 0,
  });
  await reporter.flush();
  expect(told).toEqual([]);
  expect(await reporter.flush()).toEqual({ accepted: true, stop: false, snapshot: plan[0] });
  reporter.close();
});
