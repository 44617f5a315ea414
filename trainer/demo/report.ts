// What the demo says at its end: the table for people, the document for machines.

import type { Job } from '../../api/contract/jobs.ts';
import { percent, table } from '../commands/io.ts';

type Dice = Record<string, number | null>;

export type DemoJob = {
  name: string;
  id: string;
  state: string;
  snapshot: string;
  seconds: number;
  steps: number;
  dice: Dice;
  groups: Record<string, Dice>;
  ledger: { verified: number; partial: number; mismatch: number };
  effectiveFraction: number;
};

export type DemoReport = { seconds: number; backend: string; jobs: DemoJob[] };

export type Finished = { name: string; job: Job; digest: string; effectiveFraction: number };

/** The figures of a finished job; a job that failed has no Dice. */
export function demoJob({ name, job, digest, effectiveFraction }: Finished): DemoJob {
  const summary = (job.summary ?? {}) as Partial<{
    seconds: number;
    steps: number;
    dice: Dice;
    groups: Record<string, Dice>;
  }>;
  return {
    name,
    id: job.id,
    state: job.state,
    snapshot: digest,
    seconds: summary.seconds ?? 0,
    steps: summary.steps ?? job.progress?.step ?? 0,
    dice: summary.dice ?? {},
    groups: summary.groups ?? {},
    ledger: job.verifiedDraws,
    effectiveFraction,
  };
}

/** Uniform beside weighted and corrected. */
export function reportText({ jobs }: DemoReport): string {
  const shown = (value: number | null | undefined) =>
    typeof value === 'number' ? value.toFixed(3) : '-';
  const classes = Object.keys(jobs[0].dice).filter((name) => name !== 'mean');
  const groups = [...new Set(jobs.flatMap((job) => Object.keys(job.groups)))].sort();
  const rows: [string, (job: DemoJob) => string][] = [
    ['state', (job) => job.state],
    ...[...classes, 'mean'].map((name): [string, (job: DemoJob) => string] => [
      `Dice ${name}`,
      (job) => shown(job.dice[name]),
    ]),
    ...groups.map((group): [string, (job: DemoJob) => string] => [
      `Dice mean, ${group}`,
      (job) => shown(job.groups[group]?.mean),
    ]),
    ['effective fraction', (job) => percent(job.effectiveFraction)],
    ['steps', (job) => String(job.steps)],
    ['training seconds', (job) => job.seconds.toFixed(0)],
    [
      'epochs verified',
      (job) =>
        `${job.ledger.verified} (partial ${job.ledger.partial}, mismatch ${job.ledger.mismatch})`,
    ],
  ];
  return table([
    ['', ...jobs.map(({ name }) => name)],
    ...rows.map(([label, of]) => [label, ...jobs.map(of)]),
  ]);
}

/** Whether every job succeeded with all of its epochs verified. */
export function allProven({ jobs }: DemoReport, epochs: number): boolean {
  return jobs.every(
    ({ state, ledger }) =>
      state === 'succeeded' && ledger.verified === epochs && ledger.mismatch === 0,
  );
}
