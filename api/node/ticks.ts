// What the Node entry does again and again beside its requests: asks engines about jobs, writes
// down the heads of audit chains.

import type { Deps, Log } from '../deps.ts';
import { anchorHeads } from '../services/audit/head.ts';
import { startReconciling } from '../services/jobs/reconcile.ts';

const tickMs = 1_000;
// On its own, so that a place that does not answer holds up no job.
const anchorMs = 10_000;

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

// A tick does not wait for the engines that it asks: one that hangs holds up no other target.
function startReconcileTicks(deps: Deps, measure: TickMeasure): () => Promise<void> {
  const failed = 'the reconciliation tick failed';
  const asking = new Set<Promise<void>>();
  const ask = (target: Promise<void>) => {
    const started = performance.now();
    const ended = (wrong: boolean) => {
      const seconds = (performance.now() - started) / 1000;
      measure({ name: 'engine', seconds, failed: wrong });
      asking.delete(done);
    };
    const done: Promise<void> = target.then(
      () => ended(false),
      (cause: unknown) => {
        ended(true);
        deps.log('error', failed, { cause });
      },
    );
    asking.add(done);
  };
  const run = async () => {
    for (const target of await startReconciling(deps)) ask(target);
  };
  const work = { name: 'reconcile', everyMs: tickMs, failed, run };
  const stop = startTicking(work, { log: deps.log, measure });
  return async () => {
    await stop();
    await Promise.all(asking);
  };
}

/** Starts all of them; what it answers lets those that run come to their end. */
export function startTicks(deps: Deps, measure: TickMeasure = () => {}): () => Promise<void> {
  const { log } = deps;
  const anchoring: Work = {
    name: 'anchor',
    everyMs: anchorMs,
    failed: 'the heads of the audit chains could not be read',
    run: () => anchorHeads(deps),
  };
  const stops = [startReconcileTicks(deps, measure), startTicking(anchoring, { log, measure })];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}
