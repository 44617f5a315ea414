// The verdict on an attempt that a monitor stops: no database, no engine, no clock.

import { expect, test } from 'vitest';
import type { Observation } from '../../../api/launchers/launcher.ts';
import { type LiveAttempt, type Verdict, verdictOn } from '../../../api/services/jobs/state.ts';

const now = new Date('2026-03-01T12:00:00Z');
const stopReason = {
  code: 'user',
  detail: 'the monitor drawMismatch of this job stops it',
} as const;
const stopped: LiveAttempt = {
  state: 'running',
  cancelRequested: false,
  stopReason,
  finish: null,
  createdAt: now,
  startedAt: now,
  lastContactAt: now,
  missingPolls: 0,
  missingSince: null,
  resources: {
    gpus: { count: 0 },
    cpus: 1,
    memoryMiB: 1024,
    timeoutSeconds: 3600,
    queueTimeoutSeconds: 600,
    retries: 0,
  },
};
const failed: Verdict = { kind: 'end', state: 'failed', reason: stopReason, stopWithin: null };
const exited = (code: number): Observation => ({ state: 'exited', exit: { code, signal: null } });
const hour = 3_600_000;

test.each<[string, LiveAttempt, Observation, Verdict]>([
  [
    'fails for that reason, whatever the trainer says of its end',
    { ...stopped, finish: { outcome: 'failed', error: 'stopped on request' } },
    exited(75),
    failed,
  ],
  [
    'fails, too, where the last step was done before the trainer heard of it',
    { ...stopped, finish: { outcome: 'succeeded' } },
    exited(0),
    failed,
  ],
  [
    'fails for that reason where the trainer was ended before its final report',
    stopped,
    { state: 'failed', exit: { code: null, signal: 'SIGTERM' } },
    failed,
  ],
  [
    'is ended where it does not stop in time',
    { ...stopped, startedAt: new Date(now.getTime() - 2 * hour) },
    { state: 'running' },
    { ...failed, stopWithin: 0 },
  ],
  [
    'is cancelled where a person cancels it as well',
    { ...stopped, cancelRequested: true },
    exited(0),
    { kind: 'end', state: 'cancelled', reason: null, stopWithin: null },
  ],
  [
    'stays where it is while its engine says that it runs',
    stopped,
    { state: 'running' },
    { kind: 'stay', state: 'running', missing: false },
  ],
])('an attempt that a monitor stops %s', (_, attempt, observation, verdict) => {
  expect(verdictOn(attempt, observation, now)).toEqual(verdict);
});
