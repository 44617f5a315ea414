// Gates on a job's final figures, for pipelines that should stop at a weak network.

import type { Job } from './jobs.ts';

export type MetricGate = { figure: string; least: number };

/** What keeps a job from passing, or null. Figures are `dice.CLASS`, and `dice.mean`. */
export function gateFault(job: Pick<Job, 'summary'>, { figure, least }: MetricGate): string | null {
  const dice = (job.summary?.dice ?? {}) as Record<string, number | null>;
  const figures = Object.keys(dice).map((name) => `dice.${name}`);
  const value = figures.includes(figure) ? dice[figure.slice('dice.'.length)] : undefined;
  if (value === undefined) {
    const known = figures.length === 0 ? 'none' : figures.join(', ');
    return `gate not met: the job has no figure ${figure}; it has ${known}`;
  }
  if (value === null) return `gate not met: ${figure} could not be measured, no case has the class`;
  return value >= least ? null : `gate not met: ${figure} is ${value.toFixed(4)}, under ${least}`;
}
