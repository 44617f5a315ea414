// Reports outlast a service that is away, are numbered once, and end with the attempt.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Metric, type ReportInput, reportLimits } from '../../api/contract/trainer.ts';
import {
  type Clock,
  connectService,
  createReporter,
  type ReporterOptions,
} from '../../trainer/report.ts';
import { splitContent } from '../../trainer/report-parts.ts';
import { exitCodes } from '../../trainer/settings.ts';

let outPath: string;
beforeEach(() => {
  outPath = mkdtempSync(join(tmpdir(), 'cw-report-'));
});
afterEach(() => rmSync(outPath, { recursive: true, force: true }));

/** A clock that stands still until told; sleeping moves it on at once. */
function manualClock() {
  let now = 0;
  const actions = new Set<() => void>();
  const clock: Clock = {
    now: () => now,
    sleep: async (ms) => {
      now += ms;
    },
    every: (_ms, action) => {
      actions.add(action);
      return () => actions.delete(action);
    },
    random: () => 1,
  };
  return {
    clock,
    advance: (ms: number) => {
      now += ms;
    },
    beat: () => {
      for (const action of actions) action();
    },
    timers: actions,
  };
}

type Reply = number | 'networkError' | Record<string, unknown>;

/** Answers with the given replies in turn, then with plain acceptance; keeps what was asked. */
function scriptedFetch(replies: Reply[]) {
  const bodies: ReportInput[] = [];
  let tries = 0;
  const fetchReply = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    tries += 1;
    const reply = replies.shift() ?? { accepted: true, stop: false };
    if (reply === 'networkError') throw new TypeError('fetch failed');
    if (typeof reply === 'number') {
      return Response.json({ detail: `answered ${reply}` }, { status: reply });
    }
    bodies.push(JSON.parse(init!.body as string));
    return Response.json(reply);
  };
  return { fetch: fetchReply as typeof fetch, bodies, tries: () => tries };
}

function makeReporter(replies: Reply[], more: Partial<ReporterOptions> = {}, retryForMs?: number) {
  const time = manualClock();
  const scripted = scriptedFetch(replies);
  const service = connectService({
    api: 'http://service',
    token: 'secret',
    fetch: scripted.fetch,
    clock: time.clock,
    retryForMs,
  });
  const reporter = createReporter({
    service,
    clock: time.clock,
    outPath,
    attempt: 1,
    nextSequence: 0,
    ...more,
  });
  return { reporter, time, ...scripted };
}

const loss = (step: number): Metric => ({ name: 'loss', value: step / 2, step });
const settle = () => new Promise((resolve) => setImmediate(resolve));

test('what was added is sent once, in order, with rising sequences', async () => {
  const { reporter, bodies } = makeReporter([]);
  reporter.add({ metrics: [loss(0)], progress: { step: 1, steps: 4 } });
  reporter.log('hello');
  await reporter.flush();
  reporter.add({ metrics: [loss(1)], caseLosses: [{ id: 'a', loss: 1, seen: 2 }] });
  await reporter.flush();
  expect(bodies).toEqual([
    { sequence: 0, metrics: [loss(0)], progress: { step: 1, steps: 4 }, log: 'hello\n' },
    { sequence: 1, metrics: [loss(1)], caseLosses: [{ id: 'a', loss: 1, seen: 2 }] },
  ]);
});

test('a service that is away for ten minutes loses no report', async () => {
  const { reporter, bodies, time, tries } = makeReporter([
    ...Array<Reply>(10).fill('networkError'),
    ...Array<Reply>(10).fill(503),
    429,
  ]);
  for (let step = 0; step < 3; step += 1) reporter.add({ metrics: [loss(step)] });
  await reporter.flush();
  expect(tries()).toBe(22);
  expect(time.clock.now()).toBeGreaterThan(400_000);
  expect(bodies).toEqual([{ sequence: 0, metrics: [loss(0), loss(1), loss(2)] }]);
});

test('after an hour without an answer the trainer gives up with a reason', async () => {
  const { reporter, time } = makeReporter(Array<Reply>(1000).fill('networkError'));
  await expect(reporter.flush()).rejects.toThrow('has not answered for too long: fetch failed');
  expect(time.clock.now()).toBeGreaterThan(600_000);
});

test('a report whose answer was lost is repeated with the same sequence', async () => {
  const stored: number[] = [];
  let first = true;
  const time = manualClock();
  const service = connectService({
    api: 'http://service',
    token: 'secret',
    clock: time.clock,
    fetch: (async (_url: unknown, init: RequestInit) => {
      stored.push(JSON.parse(init.body as string).sequence);
      if (first) {
        first = false;
        throw new TypeError('terminated');
      }
      return Response.json({ accepted: true, stop: false });
    }) as typeof fetch,
  });
  const options = { service, clock: time.clock, outPath, attempt: 2, nextSequence: 5 };
  await createReporter(options).flush();
  expect(stored).toEqual([5, 5]);
});

test('a heartbeat goes out even when there is nothing to say', async () => {
  const { reporter, bodies, time } = makeReporter([]);
  time.beat();
  await settle();
  await reporter.flush();
  expect(bodies).toEqual([
    { sequence: 0, metrics: [] },
    { sequence: 1, metrics: [] },
  ]);
  reporter.close();
  expect(time.timers.size).toBe(0);
});

test('added metrics leave by themselves after some seconds', async () => {
  const { reporter, bodies, time } = makeReporter([]);
  reporter.add({ metrics: [loss(0)] });
  await settle();
  expect(bodies).toEqual([]);
  time.advance(5_000);
  reporter.add({ metrics: [loss(1)] });
  await reporter.flush();
  expect(bodies[0]).toEqual({ sequence: 0, metrics: [loss(0), loss(1)] });
});

test('a revoked attempt is told at once, and nothing is sent any more', async () => {
  const { reporter, tries, time } = makeReporter([409]);
  await expect(reporter.flush()).rejects.toMatchObject({ exitCode: exitCodes.revoked });
  expect(reporter.failure()?.message).toBe('this attempt was revoked: answered 409');
  time.beat();
  await expect(reporter.flush()).rejects.toMatchObject({ exitCode: exitCodes.revoked });
  expect(tries()).toBe(1);
});

test('a refused report fails the run and says what the service said', async () => {
  const { reporter, tries } = makeReporter([422]);
  await expect(reporter.flush()).rejects.toThrow(
    'POST /v1/trainer/reports was refused with 422: answered 422',
  );
  expect(tries()).toBe(1);
});

test('the answer to a flush may ask to stop or to switch', async () => {
  const snapshot = { digest: `sha256:${'1'.repeat(64)}`, fromEpoch: 2 };
  const { reporter } = makeReporter([{ accepted: true, stop: true, snapshot }]);
  expect(reporter.stopAsked()).toBe(false);
  expect(await reporter.flush()).toEqual({ accepted: true, stop: true, snapshot });
  expect(reporter.stopAsked()).toBe(true);
});

test('a restarted trainer goes on numbering, by its own file or by the service', async () => {
  await makeReporter([]).reporter.flush();
  const again = makeReporter([]);
  await again.reporter.flush();
  expect(again.bodies[0]!.sequence).toBe(1);
  const told = makeReporter([], { nextSequence: 9 });
  await told.reporter.flush();
  expect(told.bodies[0]!.sequence).toBe(9);
  const other = makeReporter([], { attempt: 2 });
  await other.reporter.flush();
  expect(other.bodies[0]!.sequence).toBe(0);
});

test('numbers that are not finite never leave', async () => {
  const { reporter, bodies } = makeReporter([]);
  reporter.add({ metrics: [{ name: 'loss', value: Number.NaN, step: 0 }, loss(1)] });
  await reporter.flush();
  expect(bodies[0]!.metrics).toEqual([loss(1)]);
});

test('long content is split within the limits, the ledger in the last part', () => {
  const digest = `sha256:${'1'.repeat(64)}`;
  const metrics = Array.from({ length: 12_000 }, (_, step) => loss(step));
  const caseLosses = Array.from({ length: 9_000 }, (_, i) => ({
    id: `${i}`.padStart(190, 'x'),
    loss: 1,
    seen: 1,
  }));
  const ledger = [{ epoch: 0, snapshot: digest, from: 0, draws: 4, digest }];
  const bodies = splitContent({ metrics, caseLosses, ledger }, 'end\n');
  expect(bodies.flatMap((body) => body.metrics)).toEqual(metrics);
  expect(bodies.flatMap((body) => body.caseLosses ?? [])).toEqual(caseLosses);
  expect(bodies.map((body) => body.ledger !== undefined).lastIndexOf(true)).toBe(bodies.length - 1);
  expect(bodies.filter((body) => body.ledger)).toHaveLength(1);
  for (const body of bodies) {
    expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(reportLimits.bytes);
    expect(body.metrics!.length).toBeLessThanOrEqual(reportLimits.metrics);
  }
});
