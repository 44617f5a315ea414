// What an observation means for an attempt: a pure function, so every case of a job's life is a
// line in a test. Success needs the trainer's final report; our own cancel flag, and then a monitor
// that stops the job, beat the engine's word.

import type { JobState, StateReason } from '../../contract/jobs.ts';
import type { Resources } from '../../contract/settings.ts';
import type { Observation } from '../../launchers/launcher.ts';

export type LiveAttempt = {
  state: JobState;
  cancelRequested: boolean;
  /** Set where a monitor stops the job: it fails, even if its last step was done. */
  stopReason: StateReason | null;
  finish: { outcome: 'succeeded' | 'failed'; error?: string } | null;
  createdAt: Date;
  startedAt: Date | null;
  lastContactAt: Date | null;
  missingPolls: number;
  missingSince: Date | null;
  resources: Resources;
};

/**
 * `stopWithin`: seconds of grace that the engine is told to end what still runs; null: it ended.
 */
export type Verdict =
  | { kind: 'end'; state: JobState; reason: StateReason | null; stopWithin: number | null }
  | { kind: 'stay'; state: JobState; missing: boolean };

/** A lost attempt was missing for so many polls and so long, with no word from its trainer. */
export const lostAfter = { polls: 3, ms: 5 * 60_000 };
/** How long a trainer may take to exit after its final report. */
export const finishGraceMs = 60_000;
/** Seconds that a trainer has to write its checkpoint and stop. */
export const cancelGraceSeconds = 30;

const end = (
  state: JobState,
  reason: StateReason | null,
  stopWithin: number | null = null,
): Verdict => ({ kind: 'end', state, reason, stopWithin });

/** The verdict on an attempt after one observation at a time. */
export function verdictOn(attempt: LiveAttempt, observation: Observation, now: Date): Verdict {
  const { state } = observation;
  const over = ['exited', 'failed', 'timedOut', 'cancelled'].includes(state);
  const gone = over || state === 'notFound';
  if (attempt.cancelRequested && gone) return end('cancelled', null);
  if (attempt.stopReason !== null && gone) return end('failed', attempt.stopReason);
  if (attempt.finish !== null && (gone || overstays(attempt, now))) {
    return finishedVerdict(attempt, attempt.finish, observation, gone ? null : 0);
  }
  if (state === 'timedOut') return end('timedOut', timeoutReason(attempt));
  if (over) return crashedVerdict(observation);
  if (isLost(attempt, observation, now)) return end('lost', lostReason(observation));
  const late = attempt.finish === null ? lateReason(attempt, now) : null;
  if (late !== null) {
    if (attempt.cancelRequested) return end('cancelled', null, 0);
    if (attempt.stopReason !== null) return end('failed', attempt.stopReason, 0);
    return end('timedOut', late, cancelGraceSeconds);
  }
  return { kind: 'stay', state: liveState(attempt, observation), missing: state === 'notFound' };
}

function overstays({ lastContactAt }: LiveAttempt, now: Date): boolean {
  return lastContactAt !== null && now.getTime() - lastContactAt.getTime() > finishGraceMs;
}

function finishedVerdict(
  attempt: LiveAttempt,
  finish: NonNullable<LiveAttempt['finish']>,
  observation: Observation,
  stopWithin: number | null,
): Verdict {
  const { exit, detail, state } = observation;
  if (attempt.cancelRequested) return end('cancelled', null, stopWithin);
  if (attempt.stopReason !== null) return end('failed', attempt.stopReason, stopWithin);
  if (finish.outcome === 'succeeded') return end('succeeded', null, stopWithin);
  const { error = `the trainer reported that it failed and ${exitSentence(exit, detail)}` } =
    finish;
  if (!wasStopped(error, exit)) {
    return end('failed', { code: failureCode(error, exit?.code), detail: error }, stopWithin);
  }
  if (state === 'timedOut') return end('timedOut', timeoutReason(attempt), stopWithin);
  return end('failed', stoppedReason(observation), stopWithin);
}

// With a checkpoint and a last report, as a preempted trainer does.
function wasStopped(error: string, exit: Observation['exit']): boolean {
  return exit?.code === 143 || exit?.signal === 'SIGTERM' || error.startsWith('stopped by SIGTERM');
}

function stoppedReason({ reason, detail }: Observation): StateReason {
  const why = detail === undefined ? '' : `: ${detail}`;
  return {
    code: reason ?? 'external',
    detail: `the trainer was told to stop, and not by this service${why}`,
  };
}

function crashedVerdict({ state, exit, detail, reason }: Observation): Verdict {
  if (exit?.code === 0) {
    return end('failed', {
      code: 'noReport',
      detail:
        'the trainer ended with exit code 0 but sent no final report, so nothing proves that it trained',
    });
  }
  if (state === 'cancelled' && !exit?.signal) {
    return end('failed', { code: 'external', detail: 'it was cancelled on the engine, not here' });
  }
  return end('failed', {
    code: reason ?? exitReason(exit),
    detail: `the trainer ${exitSentence(exit, detail)} before its final report`,
  });
}

function exitSentence(exit: Observation['exit'], detail: string | undefined): string {
  if (exit?.signal) return `was ended by signal ${exit.signal}`;
  if (isOutOfMemory(exit?.code)) return 'used up its memory (resources.memoryMiB)';
  if (exit?.code !== undefined && exit.code !== null) return `ended with exit code ${exit.code}`;
  return detail ?? 'ended, the engine does not say how';
}

// 137 alone says that it was killed, not that memory ran out: an engine that knows says so itself.
function exitReason(exit: Observation['exit']): StateReason['code'] {
  if (exit?.signal || exit?.code === 137) return 'external';
  if (exit?.code === undefined || exit.code === null) return 'infrastructure';
  if (isOutOfMemory(exit.code)) return 'outOfMemory';
  return isConfiguration(exit.code) ? 'config' : 'user';
}

const isConfiguration = (code: number | null | undefined) => code === 64 || code === 78;

/** What our images end with where memory ran out (trainer/supervise.sh): not every engine knows. */
const isOutOfMemory = (code: number | null | undefined) => code === 79;

function failureCode(error: string, code: number | null | undefined): StateReason['code'] {
  if (error.startsWith('instability')) return 'instability';
  if (isOutOfMemory(code)) return 'outOfMemory';
  return isConfiguration(code) ? 'config' : 'user';
}

function isLost(attempt: LiveAttempt, { state }: Observation, now: Date): boolean {
  const { missingPolls, missingSince, lastContactAt } = attempt;
  if (state !== 'notFound' || missingSince === null) return false;
  if (missingPolls + 1 < lostAfter.polls) return false;
  const quietSince = Math.max(missingSince.getTime(), lastContactAt?.getTime() ?? 0);
  return now.getTime() - quietSince >= lostAfter.ms;
}

function lostReason({ detail }: Observation): StateReason {
  const why = detail ?? 'the engine knows no such launch any more';
  return { code: 'infrastructure', detail: `${why} and the trainer is silent` };
}

function liveState(attempt: LiveAttempt, { state }: Observation): JobState {
  if (attempt.finish !== null) return 'finishing';
  if (state === 'unknown' || state === 'notFound') return attempt.state;
  if (attempt.lastContactAt !== null) return 'running';
  return state === 'queued' ? 'queued' : 'starting';
}

/** Why an attempt is past its time; null while it is not. */
export function lateReason(attempt: LiveAttempt, now: Date): StateReason | null {
  const { startedAt, createdAt, resources } = attempt;
  const since = (at: Date) => (now.getTime() - at.getTime()) / 1000;
  if (startedAt === null && since(createdAt) > resources.queueTimeoutSeconds) {
    return {
      code: 'infrastructure',
      detail: `it did not start within ${resources.queueTimeoutSeconds} s (queueTimeoutSeconds)`,
    };
  }
  if (startedAt === null || since(startedAt) <= resources.timeoutSeconds) return null;
  return timeoutReason(attempt);
}

function timeoutReason({ resources }: LiveAttempt): StateReason {
  return {
    code: 'user',
    detail: `it ran longer than ${resources.timeoutSeconds} s (timeoutSeconds)`,
  };
}
