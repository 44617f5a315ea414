// A run that was stopped or killed, in the middle of an epoch too, goes on to the numbers of one
// that never was, with all that draws chance: full augmentation, forced foreground, prefetch.

import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Report } from '../../api/contract/trainer.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { tickingClock } from '../support/ticking-clock.ts';
import { job, makeTinyRun, settings, type TinyRun } from '../support/tiny-run.ts';
import type { TrainerService } from '../support/trainer-service.ts';

let tiny: TinyRun;

beforeAll(async () => {
  tiny = await makeTinyRun();
});
afterAll(() => tiny.remove());
beforeEach(() => {
  tiny.outPath = tiny.newFolder();
});

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

test('a run stopped at any step goes on to the numbers of one that never stopped', async () => {
  // Made in line, so that batches made ahead are shown to be the same ones.
  const whole = tiny.makeService({ job: { ...job, settings: { ...settings, prefetch: 0 } } });
  expect(await tiny.run(whole)).toBe(exitCodes.done);
  for (const stopAfter of [2, 3, 5]) {
    tiny.outPath = tiny.newFolder();
    const stopping = new AbortController();
    const first = tiny.makeService();
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
    expect(await tiny.run(first, { signal: stopping.signal, clock })).toBe(exitCodes.stopped);
    expect(looks).toBeGreaterThan(0);
    expect(first.state.finished).toMatchObject({ outcome: 'failed', error: 'stopped by SIGTERM' });
    const second = tiny.makeService({ job: { ...job, settings, attempt: 2 } });
    expect(await tiny.run(second)).toBe(exitCodes.done);
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
  const whole = tiny.makeService();
  await tiny.run(whole);
  tiny.outPath = tiny.newFolder();
  const first = tiny.makeService();
  const saved = tiny.newFolder();
  first.state.answer = (report) => {
    if (report.progress && report.progress.step > 6) {
      copyFileSync(
        join(tiny.outPath, 'checkpoint-latest.cwc'),
        join(saved, 'checkpoint-latest.cwc'),
      );
    }
    return {};
  };
  await tiny.run(first);
  tiny.outPath = saved;
  const second = tiny.makeService();
  expect(await tiny.run(second)).toBe(exitCodes.done);
  expect(second.metrics('loss')[0]!.step).toBe(7);
  expect(figuresOf(second)).toEqual(
    Object.fromEntries(
      Object.entries(figuresOf(whole)).filter(([key]) => Number(key.split(' ')[1]) > 6),
    ),
  );
});
