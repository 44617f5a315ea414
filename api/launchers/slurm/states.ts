// What Slurm's word for a job means for an attempt: a pure function over one record.

import type { Observation } from '../launcher.ts';
import { isOver, type SlurmJob } from './dialects.ts';
import { waitingFor } from './reasons.ts';

const signals: Record<number, string> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  7: 'SIGBUS',
  8: 'SIGFPE',
  9: 'SIGKILL',
  10: 'SIGUSR1',
  11: 'SIGSEGV',
  12: 'SIGUSR2',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
  24: 'SIGXCPU',
  25: 'SIGXFSZ',
  31: 'SIGSYS',
};

/** Words for a job that holds its nodes, by flags and states, the most telling first. */
const running: [string, string | undefined][] = [
  ['COMPLETING', 'it is ending on its node'],
  ['STAGE_OUT', 'Slurm copies its files away'],
  ['SUSPENDED', 'suspended in Slurm: scontrol resume JOB goes on'],
  ['STOPPED', 'stopped by a signal in Slurm'],
  ['SIGNALING', undefined],
  ['RESIZING', undefined],
  ['RUNNING', undefined],
];

const infrastructure = (detail: string): Observation => ({
  state: 'failed',
  reason: 'infrastructure',
  detail,
});

/** Words for how a job ended that say all by themselves. */
const ends: Record<string, Observation> = {
  TIMEOUT: { state: 'timedOut', detail: 'Slurm ended it at its time limit' },
  OUT_OF_MEMORY: {
    state: 'failed',
    reason: 'outOfMemory',
    detail: 'was killed because it used more than resources.memoryMiB',
  },
  NODE_FAIL: infrastructure('its node failed'),
  PREEMPTED: infrastructure('Slurm gave its node to a job that goes before it (preempted)'),
  BOOT_FAIL: infrastructure('its node did not boot'),
  LAUNCH_FAILED: infrastructure('its node could not start it'),
  RECONFIG_FAIL: infrastructure('its node could not be made ready for it'),
  REVOKED: infrastructure('Slurm moved it to another cluster of its federation'),
  DEADLINE: {
    state: 'failed',
    reason: 'config',
    detail: 'could not have ended before the deadline that Slurm has for it',
  },
  CANCELLED: { state: 'cancelled', detail: 'it was cancelled in Slurm' },
};

/** The observation of one job. */
export function observationOf(job: SlurmJob): Observation {
  const { states, restarts } = job;
  if (states.length === 0) return { state: 'unknown', detail: 'Slurm says no state' };
  if (!isOver(job)) {
    // Its token is for one run, and what it trained before is told as another attempt.
    if (restarts > 0) {
      return infrastructure(
        `Slurm stopped it and put it into its queue again (restart ${restarts}); an attempt runs once`,
      );
    }
    return liveObservation(job);
  }
  const end = states.find((state) => state in ends);
  return end === undefined ? endedByItself(job) : ends[end];
}

function liveObservation(job: SlurmJob): Observation {
  const has = (state: string) => job.states.includes(state);
  if (has('COMPLETING')) return { state: 'running', detail: 'it is ending on its node' };
  if (has('CONFIGURING')) return { state: 'starting', detail: 'Slurm makes its node ready' };
  if (has('PENDING') || has('REQUEUED') || has('REQUEUE_HOLD') || has('SPECIAL_EXIT')) {
    return { state: 'queued', detail: waitingFor(job) };
  }
  const detail = running.find(([state]) => has(state))?.[1];
  return detail === undefined ? { state: 'running' } : { state: 'running', detail };
}

function endedByItself({ states, reason, exit }: SlurmJob): Observation {
  const { code, signal, fault } = exit;
  // Its exit code is 1, which would be a signal.
  if (reason === 'BadConstraints') {
    const detail = 'Slurm cannot ever give what it asks of its partition (BadConstraints)';
    return { state: 'failed', reason: 'config', detail };
  }
  if (signal !== null) {
    const name = signals[signal] ?? `number ${signal}`;
    return { state: 'exited', exit: { code: null, signal: name } };
  }
  if (states.includes('COMPLETED')) return { state: 'exited', exit: { code, signal: null } };
  if (!states.includes('FAILED')) {
    return { state: 'unknown', detail: `Slurm says ${states.join(', ')}, which is not known here` };
  }
  if (fault !== null || (reason === 'JobLaunchFailure' && code === 0)) {
    return launchFailure(fault);
  }
  return { state: 'exited', exit: { code, signal: null } };
}

/** slurmd could not open the file for the output. */
const noOutput = 4021;

function launchFailure(fault: number | null): Observation {
  if (fault === noOutput) {
    const detail =
      'its node could not open its log file: logFolder (or outputPath) of the target has to be on the nodes, and the user may write to it';
    return { state: 'failed', reason: 'config', detail };
  }
  const said = fault === null ? '' : `, slurmd says ${fault}`;
  return infrastructure(`its node could not start the script (JobLaunchFailure${said})`);
}
