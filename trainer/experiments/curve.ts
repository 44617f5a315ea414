// Training in process for a time or a number of steps, with stops on the way for validation. Only
// what a step and the wait for its batch take counts as training time.

import type { Learner } from '../learner.ts';
import { polyDecay } from '../optimizer.ts';
import type { BatchSource } from '../prefetch/prefetch.ts';
import { planEpoch, type Snapshot } from '../sampler.ts';

/** Seconds of training or steps; the learning rate falls over the whole of it. */
export type Budget = { seconds: number } | { steps: number };

export type Spent = {
  step: number;
  seconds: number;
  waitSeconds: number;
  clipped: number;
  skipped: number;
  /** Mean unweighted loss of the draws since the last mark. */
  caseLoss: number;
};

/**
 * Trains over epochs of the snapshot's plan until the budget is spent, and calls `atMark` as soon
 * as a mark (seconds or steps, as the budget) is reached and at the end.
 */
export async function trainOverMarks(given: {
  learner: Learner;
  batches: BatchSource;
  snapshot: Snapshot;
  seed: number;
  batchSize: number;
  drawsPerEpoch: number;
  learningRate: number;
  budget: Budget;
  marks: number[];
  atMark: (spent: Spent) => Promise<void>;
}): Promise<void> {
  const { learner, batches, snapshot, seed, batchSize, drawsPerEpoch, budget, atMark } = given;
  const whole = 'steps' in budget ? budget.steps : budget.seconds;
  const marks = given.marks.filter((mark) => mark < whole).sort((a, b) => a - b);
  const spent: Spent = { step: 0, seconds: 0, waitSeconds: 0, clipped: 0, skipped: 0, caseLoss: 0 };
  const done = () => ('steps' in budget ? spent.step : spent.seconds);
  let sinceMark = 0;
  const mark = async () => {
    await atMark({ ...spent, caseLoss: spent.caseLoss / Math.max(1, sinceMark) });
    spent.caseLoss = 0;
    sinceMark = 0;
  };
  for (let epoch = 0; done() < whole; epoch++) {
    const plan = planEpoch(snapshot, { seed, epoch, drawsPerEpoch });
    const { next } = batches.ofEpoch({ plan, from: 0, epoch });
    for (let at = 0; at < plan.length && done() < whole; at += batchSize) {
      const startedAt = performance.now();
      const batch = await next();
      const ids = plan.slice(at, at + batchSize);
      const lossFactors = ids.map(snapshot.lossFactorOf);
      spent.waitSeconds += (performance.now() - startedAt) / 1000;
      const learningRate = polyDecay(given.learningRate, done(), whole);
      const result = learner.step({ ...batch, lossFactors, learningRate });
      spent.seconds += (performance.now() - startedAt) / 1000;
      spent.step++;
      spent.clipped += result.clipped ? 1 : 0;
      spent.skipped += result.skipped ? 1 : 0;
      for (const loss of result.caseLosses) spent.caseLoss += loss / ids.length;
      sinceMark++;
      if (done() >= marks[0]) {
        marks.shift();
        await mark();
      }
    }
  }
  if (sinceMark > 0) await mark();
}
