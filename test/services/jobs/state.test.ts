// The verdict on an attempt as a table: what the engine says, what the trainer said, what we asked
// for, and what that means. No database, no engine, no clock.

import { describe, expect, test } from 'vitest';
import type { Observation } from '../../../api/launchers/launcher.ts';
import {
  cancelGraceSeconds,
  finishGraceMs,
  type LiveAttempt,
  lostAfter,
  type Verdict,
  verdictOn,
} from '../../../api/services/jobs/state.ts';

const now = new Date('2026-03-01T12:00:00Z');
const ago = (ms: number) => new Date(now.getTime() - ms);
const minute = 60_000;

const running: LiveAttempt = {
  state: 'running',
  cancelRequested: false,
  stopReason: null,
  finish: null,
  createdAt: ago(10 * minute),
  startedAt: ago(9 * minute),
  lastContactAt: ago(1000),
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
const cancelling: LiveAttempt = { ...running, state: 'cancelling', cancelRequested: true };
const trained: LiveAttempt = { ...running, state: 'finishing', finish: { outcome: 'succeeded' } };
const silent: LiveAttempt = { ...running, lastContactAt: ago(20 * minute) };
const waiting: LiveAttempt = {
  ...running,
  state: 'queued',
  startedAt: null,
  lastContactAt: null,
  createdAt: ago(minute),
};

const failed = (code: string, detail: string): Verdict =>
  ({ kind: 'end', state: 'failed', reason: { code, detail }, stopWithin: null }) as Verdict;
const ended = (state: 'succeeded' | 'cancelled', stopWithin: number | null = null): Verdict => ({
  kind: 'end',
  state,
  reason: null,
  stopWithin,
});
const stays = (state: LiveAttempt['state'], missing = false): Verdict => ({
  kind: 'stay',
  state,
  missing,
});
const exit = (code: number | null, signal: string | null = null) => ({ code, signal });
const exited = (code: number): Observation => ({ state: 'exited', exit: exit(code) });
const before = 'before its final report';

type Case = [string, LiveAttempt, Observation, Verdict];

const failing = (error: string): LiveAttempt => ({
  ...trained,
  finish: { outcome: 'failed', error },
});
const noReport =
  'the trainer ended with exit code 0 but sent no final report, so nothing proves that it trained';

const ends: Case[] = [
  ['exit 0 after the final report succeeds', trained, exited(0), ended('succeeded')],
  ['exit 7 after it succeeds too: it has trained', trained, exited(7), ended('succeeded')],
  ['exit 0 without it proves nothing', running, exited(0), failed('noReport', noReport)],
  [
    'a signal is external and named',
    running,
    { state: 'failed', exit: exit(null, 'SIGKILL') },
    failed('external', `the trainer was ended by signal SIGKILL ${before}`),
  ],
  [
    'exit 64 is a fault of the configuration',
    running,
    { state: 'failed', exit: exit(64) },
    failed('config', `the trainer ended with exit code 64 ${before}`),
  ],
  [
    'any other exit is a fault of the user',
    running,
    { state: 'failed', exit: exit(7) },
    failed('user', `the trainer ended with exit code 7 ${before}`),
  ],
  [
    '137 is external: it says killed, not why',
    running,
    { state: 'failed', exit: exit(137) },
    failed('external', `the trainer ended with exit code 137 ${before}`),
  ],
  [
    '137 is out of memory where the engine says so',
    running,
    { state: 'failed', exit: exit(137), reason: 'outOfMemory' },
    failed('outOfMemory', `the trainer ended with exit code 137 ${before}`),
  ],
  [
    '79 is out of memory: our images say so where engines do not',
    running,
    exited(79),
    failed('outOfMemory', `the trainer used up its memory (resources.memoryMiB) ${before}`),
  ],
  [
    'an end without code or signal is the infrastructure, in the words of the engine',
    running,
    { state: 'failed', detail: 'could not be started' },
    failed('infrastructure', `the trainer could not be started ${before}`),
  ],
  [
    'a cancellation that nobody asked for here is external',
    running,
    { state: 'cancelled' },
    failed('external', 'it was cancelled on the engine, not here'),
  ],
  [
    'instability in the final report is named so',
    failing('instability: the loss is not finite'),
    exited(1),
    failed('instability', 'instability: the loss is not finite'),
  ],
  [
    'a failure in the final report keeps the words of the trainer',
    failing('no such file'),
    exited(1),
    failed('user', 'no such file'),
  ],
  [
    'a failure reported with exit 78 is the configuration',
    failing('no such file'),
    exited(78),
    failed('config', 'no such file'),
  ],
];

const cancellations: Case[] = [
  ['our flag beats exit 0', cancelling, exited(0), ended('cancelled')],
  [
    'our flag beats a failure',
    cancelling,
    { state: 'failed', exit: exit(null, 'SIGTERM') },
    ended('cancelled'),
  ],
  [
    'our flag beats the final report',
    { ...trained, cancelRequested: true },
    exited(0),
    ended('cancelled'),
  ],
  [
    'a launch that is gone is cancelled at once, without a wait for three polls',
    cancelling,
    { state: 'notFound' },
    ended('cancelled'),
  ],
  [
    'a trainer that overstays its time is ended without another grace',
    { ...cancelling, startedAt: ago(61 * minute) },
    { state: 'running' },
    ended('cancelled', 0),
  ],
];

const doubts: Case[] = [
  ['what cannot be asked stays', running, { state: 'unknown' }, stays('running')],
  [
    'what cannot be asked stays however long the trainer was silent',
    { ...silent, missingPolls: 9, missingSince: ago(20 * minute) },
    { state: 'unknown' },
    stays('running'),
  ],
  [
    'the first poll that finds nothing stays and counts',
    silent,
    { state: 'notFound' },
    stays('running', true),
  ],
  [
    'two polls are too few, however long',
    { ...silent, missingPolls: lostAfter.polls - 2, missingSince: ago(20 * minute) },
    { state: 'notFound' },
    stays('running', true),
  ],
  [
    'three polls within five minutes are too soon',
    { ...silent, missingPolls: 5, missingSince: ago(lostAfter.ms - 1) },
    { state: 'notFound' },
    stays('running', true),
  ],
  [
    'a trainer that speaks is not lost',
    { ...running, missingPolls: 9, missingSince: ago(20 * minute) },
    { state: 'notFound' },
    stays('running', true),
  ],
  [
    'three polls, five minutes and silence are a loss',
    { ...silent, missingPolls: lostAfter.polls - 1, missingSince: ago(lostAfter.ms) },
    { state: 'notFound' },
    {
      kind: 'end',
      state: 'lost',
      reason: {
        code: 'infrastructure',
        detail: 'the engine knows no such launch any more and the trainer is silent',
      },
      stopWithin: null,
    },
  ],
];

const late = (code: string, detail: string): Verdict =>
  ({
    kind: 'end',
    state: 'timedOut',
    reason: { code, detail },
    stopWithin: cancelGraceSeconds,
  }) as Verdict;
const ranTooLong = 'it ran longer than 3600 s (timeoutSeconds)';

const times: Case[] = [
  ['queued waits', waiting, { state: 'queued' }, stays('queued')],
  ['a process without a word is starting', waiting, { state: 'running' }, stays('starting')],
  [
    'a word of the trainer makes it running',
    { ...running, state: 'starting' },
    { state: 'running' },
    stays('running'),
  ],
  ['a final report makes it finishing', trained, { state: 'running' }, stays('finishing')],
  [
    'a trainer that does not exit after its report is ended, and has succeeded',
    { ...trained, lastContactAt: ago(finishGraceMs + 1) },
    { state: 'running' },
    ended('succeeded', 0),
  ],
  [
    'a queue that is too long is the infrastructure',
    { ...waiting, createdAt: ago(10 * minute + 1000) },
    { state: 'queued' },
    late('infrastructure', 'it did not start within 600 s (queueTimeoutSeconds)'),
  ],
  [
    'a queue of exactly its time still waits',
    { ...waiting, createdAt: ago(10 * minute) },
    { state: 'queued' },
    stays('queued'),
  ],
  [
    'a run over its time is told to stop, also where the engine is away',
    { ...running, startedAt: ago(60 * minute + 1000) },
    { state: 'unknown' },
    late('user', ranTooLong),
  ],
  [
    'a timeout that the engine saw needs no stop',
    running,
    { state: 'timedOut' },
    {
      kind: 'end',
      state: 'timedOut',
      reason: { code: 'user', detail: ranTooLong },
      stopWithin: null,
    },
  ],
];

const compared = (_: string, attempt: LiveAttempt, observation: Observation, verdict: Verdict) =>
  expect(verdictOn(attempt, observation, now)).toEqual(verdict);

describe('the verdict', () => {
  test.each(ends)('on an end: %s', compared);
  test.each(cancellations)('on a cancellation: %s', compared);
  test.each(doubts)('in doubt: %s', compared);
  test.each(times)('on time: %s', compared);
});
