// What the Node entry does again and again beside its requests: asks engines about jobs,
// delivers webhooks, writes down the heads of audit chains.

import type { Deps, Log } from '../deps.ts';
import { anchorHeads } from '../services/audit/head.ts';
import { startReconciling } from '../services/jobs/reconcile.ts';
import { forgetDeliveries, startDelivering } from '../services/webhooks/deliver.ts';

const tickMs = 1_000;
// On its own, so that a place that does not answer holds up no job.
const anchorMs = 10_000;
const forgetMs = 60_000;

/** Told of every tick; seconds that it took. */
export type TickMeasure = (tick: { name: string; seconds: number; failed: boolean }) => void;

type Work = { name: string; everyMs: number; failed: string; run: () => Promise<void> };

// One at a time, the next one that long after the last has ended.
function startTicking(
  { name, everyMs, failed, run }: Work,
  { log, measure }: { log: Log; measure: TickMeasure },
): () => Promise<void> {
  let stopped = false;
  let running = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const tick = () => {
    const started = performance.now();
    const ended = (wrong: boolean) =>
      measure({ name, seconds: (performance.now() - started) / 1000, failed: wrong });
    running = run()
      .then(
        () => ended(false),
        (cause: unknown) => {
          ended(true);
          log('error', failed, { cause });
        },
      )
      .then(() => {
        if (!stopped) timer = setTimeout(tick, everyMs);
      });
  };
  tick();
  return async () => {
    stopped = true;
    clearTimeout(timer);
    await running;
  };
}

/** `begin` answers a promise for each one that is asked. */
type Asking = { name: string; each: string; failed: string; begin: () => Promise<Promise<void>[]> };

// A tick does not wait for those whom it asks: one that hangs holds up no other.
function startAsking(
  { name, each, failed, begin }: Asking,
  { log, measure }: { log: Log; measure: TickMeasure },
): () => Promise<void> {
  const asking = new Set<Promise<void>>();
  const ask = (one: Promise<void>) => {
    const started = performance.now();
    const ended = (wrong: boolean) => {
      const seconds = (performance.now() - started) / 1000;
      measure({ name: each, seconds, failed: wrong });
      asking.delete(done);
    };
    const done: Promise<void> = one.then(
      () => ended(false),
      (cause: unknown) => {
        ended(true);
        log('error', failed, { cause });
      },
    );
    asking.add(done);
  };
  const run = async () => {
    for (const one of await begin()) ask(one);
  };
  const stop = startTicking({ name, everyMs: tickMs, failed, run }, { log, measure });
  return async () => {
    await stop();
    await Promise.all(asking);
  };
}

/** Starts all of them; what it answers lets those that run come to their end. */
export function startTicks(deps: Deps, measure: TickMeasure = () => {}): () => Promise<void> {
  const noted = { log: deps.log, measure };
  const stops = [
    startAsking(
      {
        name: 'reconcile',
        each: 'engine',
        failed: 'the reconciliation tick failed',
        begin: () => startReconciling(deps),
      },
      noted,
    ),
    startAsking(
      {
        name: 'deliver',
        each: 'delivery',
        failed: 'webhooks could not be delivered',
        begin: () => startDelivering(deps),
      },
      noted,
    ),
    startTicking(
      {
        name: 'anchor',
        everyMs: anchorMs,
        failed: 'the heads of the audit chains could not be read',
        run: () => anchorHeads(deps),
      },
      noted,
    ),
    startTicking(
      {
        name: 'forget',
        everyMs: forgetMs,
        failed: 'old deliveries of webhooks could not be deleted',
        run: () => forgetDeliveries(deps),
      },
      noted,
    ),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}
