// A gate on a job's final figures: `--gate dice.mean=0.8` lets a pipeline stop at a weak network.

import { InvalidArgumentError } from 'commander';
import type { Job } from '../../api/contract/jobs.ts';

export type MetricGate = { figure: string; least: number };

/** One more gate from the command line, as FIGURE=LEAST. */
export function gateOf(text: string, before: MetricGate[]): MetricGate[] {
  const [, figure, least] = /^(.+)=([^=]+)$/.exec(text) ?? [];
  if (figure === undefined || least.trim() === '' || !Number.isFinite(Number(least))) {
    throw new InvalidArgumentError('a gate is a figure and the least it may be: dice.mean=0.8');
  }
  return [...before, { figure, least: Number(least) }];
}

/** What keeps a job from passing, or null. Figures are `dice.CLASS`, and `dice.mean`. */
export function gateFault(job: Job, { figure, least }: MetricGate): string | null {
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
