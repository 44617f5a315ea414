// What jobs came to: figures for the next step of a workflow, gates, and one state for all of them.

import { gateFault } from '../../api/contract/gates.ts';
import type { Job, JobState } from '../../api/contract/jobs.ts';
import type { Condition } from './inputs.ts';

export type Dice = Record<string, number | null>;

export type Metrics = {
  /** Of one job its own; of several the mean over those that measured it. */
  dice: Dice;
  folds: {
    fold: string;
    job: string;
    state: JobState;
    dice: Dice;
    groups: Record<string, Dice>;
    verifiedDraws: Job['verifiedDraws'];
  }[];
};

export const diceOf = ({ summary }: Pick<Job, 'summary'>) => (summary?.dice ?? {}) as Dice;

export const groupsOf = ({ summary }: Pick<Job, 'summary'>) =>
  (summary?.groups ?? {}) as Record<string, Dice>;

export function metricsOf(jobs: readonly Job[]): Metrics {
  return {
    dice: meanDice(jobs.map(diceOf)),
    folds: jobs.map((job) => ({
      fold: String(job.snapshot.fold),
      job: job.id,
      state: job.state,
      dice: diceOf(job),
      groups: groupsOf(job),
      verifiedDraws: job.verifiedDraws,
    })),
  };
}

/** Figure by figure, over those that have it; null where none could measure it. */
export function meanDice(folds: Dice[]): Dice {
  const names = [...new Set(folds.flatMap((dice) => Object.keys(dice)))];
  return Object.fromEntries(
    names.map((name) => {
      const known = folds.map((dice) => dice[name]).filter((value) => typeof value === 'number');
      const sum = known.reduce((total, value) => total + value, 0);
      return [name, known.length === 0 ? null : sum / known.length];
    }),
  );
}

/** Every condition that holds, which none should: of each fold, or of their mean. */
export function gateFaults(jobs: readonly Job[], conditions: readonly Condition[]): string[] {
  const mean = { summary: { dice: meanDice(jobs.map(diceOf)) } };
  return conditions.flatMap((condition) => {
    const told = (fault: string | null, of: string) => (fault === null ? [] : [`${of}${fault}`]);
    if (condition.ofMean) return told(gateFault(mean, condition), 'mean over the folds: ');
    return jobs.flatMap((job) =>
      told(gateFault(job, condition), jobs.length === 1 ? '' : `fold ${job.snapshot.fold}: `),
    );
  });
}

const worstFirst: JobState[] = ['failed', 'timedOut', 'lost', 'cancelled'];

/** The state of all: the worst end, else what has not ended, else success. */
export function stateOf(jobs: readonly Job[]): JobState {
  const states = jobs.map(({ state }) => state);
  const worst = worstFirst.find((state) => states.includes(state));
  return worst ?? states.find((state) => state !== 'succeeded') ?? 'succeeded';
}
