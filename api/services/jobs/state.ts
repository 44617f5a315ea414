// What an observation means for an attempt: a pure function, so every case of a job's life is a
// line in a test. Success needs the trainer's final report; our own cancel flag beats the engine's
// word.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Resources } from '../../contract/settings.ts';
import type { Observation } from '../../launchers/launcher.ts';

export type LiveAttempt = {
  state: JobState;
  cancelRequested: boolean;
  finish: { outcome: 'succeeded' | 'failed'; error?: string } | null;
  createdAt: Date;
  startedAt: Date | null;
  lastContactAt: Date | null;
  missingPolls: number;
  missingSince: Date | null;
  resources: Resources;
};

export type Verdict =
  | { kind: 'end'; state: JobState; reason: StateReason | null }
  | { kind: 'stay'; state: JobState; missing: boolean }
  | { kind: 'timeOut'; reason: StateReason };

/** A lost attempt was missing for so many polls and so long, with no word from its trainer. */
export const lostAfter = { polls: 3, ms: 5 * 60_000 };
/** How long a trainer may take to exit after its final report. */
export const finishGraceMs = 60_000;

const end = (state: JobState, reason: StateReason | null): Verdict => ({
  kind: 'end',
  state,
  reason,
});

/** The verdict on an attempt after one observation at a time. */
export function verdictOn(attempt: LiveAttempt, observation: Observation, now: Date): Verdict {
  const { state } = observation;
  const over = ['exited', 'failed', 'timedOut', 'cancelled'].includes(state);
  if (attempt.cancelRequested && (over || state === 'notFound')) return end('cancelled', null);
  if (state === 'timedOut') return end('timedOut', timeoutReason(attempt));
  if (over) return endedVerdict(attempt, observation);
  if (state === 'notFound') return missingVerdict(attempt, now);
  const late = lateReason(attempt, now);
  if (late !== null) return { kind: 'timeOut', reason: late };
  return { kind: 'stay', state: liveState(attempt, observation), missing: false };
}

function endedVerdict({ finish }: LiveAttempt, { exit, detail }: Observation): Verdict {
  const how = exitSentence(exit, detail);
  if (finish?.outcome === 'succeeded') return end('succeeded', null);
  if (finish !== null) {
    const code = failureCode(finish.error ?? '', exit?.code ?? null);
    return end('failed', {
      code,
      detail: finish.error ?? `the trainer reported that it failed and ${how}`,
    });
  }
  if (exit?.code === 0) {
    return end('failed', {
      code: 'noReport',
      detail:
        'the trainer ended with exit code 0 but sent no final report, so nothing proves that it trained',
    });
  }
  return end('failed', {
    code: exitCode(exit),
    detail: `the trainer ${how} before its final report`,
  });
}

function exitSentence(exit: Observation['exit'], detail: string | undefined): string {
  if (exit?.signal) return `was ended by signal ${exit.signal}`;
  if (exit?.code !== undefined && exit.code !== null) return `ended with exit code ${exit.code}`;
  return detail ?? 'ended, the engine does not say how';
}

function exitCode(exit: Observation['exit']): StateReason['code'] {
  if (exit?.signal) return 'external';
  if (exit?.code === 64 || exit?.code === 78) return 'config';
  return exit?.code === 137 ? 'outOfMemory' : 'user';
}

function failureCode(error: string, code: number | null): StateReason['code'] {
  if (error.startsWith('instability')) return 'instability';
  return code === 64 || code === 78 ? 'config' : 'user';
}

function missingVerdict(attempt: LiveAttempt, now: Date): Verdict {
  const stay: Verdict = { kind: 'stay', state: attempt.state, missing: true };
  const { missingPolls, missingSince, lastContactAt } = attempt;
  if (missingPolls + 1 < lostAfter.polls || missingSince === null) return stay;
  const quietSince = Math.max(missingSince.getTime(), lastContactAt?.getTime() ?? 0);
  if (now.getTime() - quietSince < lostAfter.ms) return stay;
  if (attempt.finish?.outcome === 'succeeded') return end('succeeded', null);
  return end('lost', {
    code: 'infrastructure',
    detail: 'the engine knows no such launch any more and the trainer is silent',
  });
}

function liveState(attempt: LiveAttempt, { state }: Observation): JobState {
  if (attempt.finish !== null) return 'finishing';
  if (state === 'unknown') return attempt.state;
  if (state === 'queued') return 'queued';
  return attempt.lastContactAt === null ? 'starting' : 'running';
}

function lateReason(attempt: LiveAttempt, now: Date): StateReason | null {
  const { startedAt, createdAt, resources } = attempt;
  const since = (at: Date) => (now.getTime() - at.getTime()) / 1000;
  if (startedAt === null && since(createdAt) > resources.queueTimeoutSeconds) {
    return {
      code: 'infrastructure',
      detail: `it did not start within ${resources.queueTimeoutSeconds} s (queueTimeoutSeconds)`,
    };
  }
  if (startedAt !== null && since(startedAt) > resources.timeoutSeconds)
    return timeoutReason(attempt);
  return null;
}

function timeoutReason({ resources }: LiveAttempt): StateReason {
  return {
    code: 'user',
    detail: `it ran longer than ${resources.timeoutSeconds} s (timeoutSeconds)`,
  };
}
