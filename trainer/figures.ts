// What one epoch's steps add up to: the metrics of its end and the mean loss of every case drawn.

import type { CaseLoss, Metric } from '../api/contract/trainer.ts';
import type { StepResult } from './step.ts';

type Step = StepResult & {
  ids: string[];
  learningRate: number;
  seconds: number;
  /** The part of `seconds` that went by until the batch was there. */
  waitSeconds: number;
};

export type Figures = {
  add: (step: Step) => void;
  metrics: (at: { step: number; epoch: number }) => Metric[];
  /** Mean losses of the cases drawn, each saying of which draws: `from` is where they began. */
  caseLosses: (at: { epoch: number; from: number }) => CaseLoss[];
};

/** The metrics of one step; `nonFinite` stands for the numbers that a report cannot carry. */
export function stepMetrics(result: StepResult, at: { step: number; epoch: number }): Metric[] {
  return [
    { name: 'loss', value: result.loss, ...at },
    { name: 'gradientNorm', value: result.gradientNorm, ...at },
    ...(result.skipped ? [{ name: 'nonFinite', value: 1, ...at }] : []),
  ];
}

/** Accumulates the steps of (a part of) an epoch; `decileOf` is a case's score decile, or null. */
export function createFigures(decileOf: (id: string) => number | null): Figures {
  const cases = new Map<string, { sum: number; seen: number }>();
  let steps = 0;
  let clipped = 0;
  let skipped = 0;
  let seconds = 0;
  let waitSeconds = 0;
  let learningRate = 0;

  const meanLoss = (entries: { sum: number; seen: number }[]): number =>
    entries.reduce((sum, entry) => sum + entry.sum, 0) /
    entries.reduce((count, entry) => count + entry.seen, 0);

  return {
    add: (step) => {
      steps += 1;
      clipped += Number(step.clipped);
      skipped += Number(step.skipped);
      seconds += step.seconds;
      waitSeconds += step.waitSeconds;
      learningRate = step.learningRate;
      step.ids.forEach((id, i) => {
        const loss = step.caseLosses[i]!;
        if (!Number.isFinite(loss)) return;
        const entry = cases.get(id) ?? { sum: 0, seen: 0 };
        cases.set(id, { sum: entry.sum + loss, seen: entry.seen + 1 });
      });
    },
    metrics: (at) => {
      const byDecile = new Map<number, { sum: number; seen: number }[]>();
      for (const [id, entry] of cases) {
        const decile = decileOf(id);
        if (decile !== null) byDecile.set(decile, [...(byDecile.get(decile) ?? []), entry]);
      }
      return [
        { name: 'caseLoss', value: meanLoss([...cases.values()]), ...at },
        { name: 'clippedShare', value: clipped / steps, ...at },
        { name: 'learningRate', value: learningRate, ...at },
        { name: 'secondsPerStep', value: seconds / steps, ...at },
        { name: 'waitSeconds', value: waitSeconds / steps, ...at },
        { name: 'skippedSteps', value: skipped, ...at },
        ...[...byDecile].map(([decile, entries]) => {
          const group = `scoreDecile=${decile}`;
          return { name: 'caseLoss', value: meanLoss(entries), ...at, group };
        }),
      ].filter((metric) => Number.isFinite(metric.value));
    },
    caseLosses: (at) =>
      [...cases].map(([id, { sum, seen }]) => ({ id, loss: sum / seen, seen, ...at })),
  };
}
