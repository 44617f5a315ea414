// The entry that a runner starts: the step, and once more after the job's last step. A workflow
// that is cancelled sends SIGINT, and seven and a half seconds later SIGTERM.

import { setTimeout as sleep } from 'node:timers/promises';
import * as core from '@actions/core';
import { exitCodes, failure, isFailure } from './failure.ts';
import { tellFailure } from './output.ts';
import type { World } from './service.ts';
import { afterStep, runStep } from './step.ts';

const world: World = {
  env: process.env,
  fetch: (...args) => fetch(...args),
  sleep: (milliseconds, signal) =>
    sleep(milliseconds, undefined, { signal }).catch(() => undefined), // only the signal throws
  random: Math.random,
  now: () => performance.now(),
  log: core.info,
};

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());

const isAfter = core.getState('begun') === 'true';
if (!isAfter) core.saveState('begun', 'true');

try {
  await (isAfter ? afterStep(world) : runStep(world, stop.signal));
} catch (error) {
  if (!isFailure(error)) core.info(String((error as Error).stack));
  tellFailure(isFailure(error) ? error : failure((error as Error).message, exitCodes.failed));
}
