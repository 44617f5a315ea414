// The monitor of steps (METHOD.md section 9): a loss or gradient norm that spikes over a multiple
// of its running median, or a step that was not finite. It reads a window only, so that a report of
// a long job costs no more than one of a short job.

import {
  brief,
  type Finding,
  type Limits,
  type Point,
  placeOf,
  type Verdict,
} from './monitor-history.ts';

/** Steps before a step that its running median is over, and steps of quiet that end an episode. */
export const medianWindow = 50;
/** With fewer values before it, a step is not judged. */
export const fewestForMedian = 10;

/** Names of the metrics that this monitor reads. */
export const stepMetricNames = ['loss', 'gradientNorm', 'nonFinite', 'skippedSteps'] as const;

/** How many steps before the first new one decide about it. */
export const stepsBefore = ({ patience }: Pick<Limits, 'patience'>) => 2 * medianWindow + patience;

type Step = { step: number; epoch: number | null; notFinite: string | null } & {
  loss?: number;
  gradientNorm?: number;
};

/**
 * Episodes of instability in points of one line. `value` is the largest multiple of a running
 * median; null where the step was not finite. It fires at the `patience`-th bad step in a row, and
 * again after `medianWindow` steps without one.
 */
export function instability(points: Point[], { threshold, patience }: Limits): Verdict {
  const steps = stepsOf(points);
  const findings: Finding[] = [];
  let rounds = 0;
  let lastBad = -Infinity;
  let value: number | null = null;
  for (const [k, at] of steps.entries()) {
    const worst = worstSpike(at, steps.slice(Math.max(0, k - medianWindow), k));
    value = worst?.ratio ?? value;
    const bad = at.notFinite !== null || (worst !== null && worst.ratio > threshold);
    rounds = bad ? rounds + 1 : 0;
    if (rounds < patience) continue;
    if (k - lastBad > medianWindow) {
      const { step, epoch, notFinite } = at;
      const sentence = notFinite ?? spikeSentence(at, worst as Spike, { threshold, rounds });
      const ratio = notFinite === null ? (worst as Spike).ratio : null;
      findings.push({ subject: null, step, epoch, value: ratio, rounds, sentence });
    }
    lastBad = k;
  }
  return { value, fired: steps.length - lastBad <= medianWindow, findings };
}

function stepsOf(points: Point[]): Step[] {
  const steps = new Map<number, Step>();
  for (const { name, value, step, epoch, group } of points) {
    if (group !== null) continue;
    const at = steps.get(step) ?? { step, epoch, notFinite: null };
    if (name === 'loss' || name === 'gradientNorm') at[name] = value;
    else if (name === 'nonFinite' && value > 0) {
      at.notFinite = `the loss or a gradient was not finite at step ${step}${epoch === null ? '' : ` (epoch ${epoch})`}; the step was skipped`;
    } else if (name === 'skippedSteps' && value > 0) {
      at.notFinite ??= `${value} ${value === 1 ? 'step was' : 'steps were'} not finite up to step ${step}${epoch === null ? '' : ` of epoch ${epoch}`} and skipped`;
    } else continue;
    steps.set(step, at);
  }
  return [...steps.values()].sort((a, b) => a.step - b.step);
}

type Spike = { what: 'loss' | 'gradientNorm'; value: number; median: number; ratio: number };

function worstSpike(at: Step, before: Step[]): Spike | null {
  let worst: Spike | null = null;
  for (const what of ['loss', 'gradientNorm'] as const) {
    const value = at[what];
    const known = before.flatMap((step) => step[what] ?? []);
    if (value === undefined || known.length < fewestForMedian) continue;
    const median = medianOf(known);
    if (median <= 0) continue;
    const ratio = value / median;
    if (worst === null || ratio > worst.ratio) worst = { what, value, median, ratio };
  }
  return worst;
}

function medianOf(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spikeSentence(
  at: Step,
  { what, value, median, ratio }: Spike,
  { threshold, rounds }: { threshold: number; rounds: number },
): string {
  const name = what === 'loss' ? 'loss' : 'gradient norm';
  const where = at.epoch === null ? '' : ` (${placeOf(at)})`;
  const row = rounds === 1 ? '' : `, ${rounds} spikes in a row`;
  return `${name} ${brief(value)} at step ${at.step}${where} is ${brief(ratio)} times its median ${brief(median)} over the ${medianWindow} steps before; threshold ${threshold}${row}`;
}
