// Validation: uniform, over whole volumes, never weighted (METHOD.md section 9). Dice is the mean
// over cases of each case's Dice, as in nnU-Net; a class absent from both says nothing of a case.

import type { Metric } from '../api/contract/trainer.ts';

export type Counts = { predicted: number; truth: number; both: number };
export type Dice = Record<string, number | null>;

export type CaseResult = {
  id: string;
  groups: string[];
  scoreDecile: number | null;
  loss: number;
  counts: Counts[];
};

export type Evaluation = {
  dice: Dice;
  groups: Record<string, Dice>;
  volumeRatio: number | null;
  groupVolumeRatios: Record<string, number | null>;
  loss: number;
  decileLosses: Record<string, number>;
};

/**
 * Voxels per class in the prediction, in the truth and in both; index 0 is background. Voxels whose
 * true value is past the last class are ignored.
 */
export function countVoxels(
  predicted: ArrayLike<number>,
  truth: ArrayLike<number>,
  classCount: number,
): Counts[] {
  const counts = Array.from({ length: classCount }, () => ({ predicted: 0, truth: 0, both: 0 }));
  for (let i = 0; i < truth.length; i += 1) {
    const here = predicted[i]!;
    const there = truth[i]!;
    if (there >= classCount) continue;
    counts[here]!.predicted += 1;
    counts[there]!.truth += 1;
    if (here === there) counts[here]!.both += 1;
  }
  return counts;
}

/** Class of the largest probability at every voxel; probabilities are [voxel, class]. */
export function likeliestClasses(probabilities: Float32Array, classCount: number): Uint8Array {
  const classes = new Uint8Array(probabilities.length / classCount);
  for (let voxel = 0, at = 0; voxel < classes.length; voxel += 1, at += classCount) {
    let best = 0;
    for (let k = 1; k < classCount; k += 1) {
      if (probabilities[at + k]! > probabilities[at + best]!) best = k;
    }
    classes[voxel] = best;
  }
  return classes;
}

/**
 * The loss of METHOD.md section 7 over a whole volume: cross entropy + 1 - mean soft Dice, without
 * the ignored voxels, whose value is past the last class.
 */
export function volumeLoss(
  probabilities: Float32Array,
  truth: ArrayLike<number>,
  classCount: number,
): number {
  const both = new Float64Array(classCount);
  const sum = new Float64Array(classCount);
  let entropy = 0;
  let voxels = 0;
  for (let voxel = 0, at = 0; voxel < truth.length; voxel += 1, at += classCount) {
    const label = truth[voxel]!;
    if (label >= classCount) continue;
    voxels += 1;
    entropy -= Math.log(Math.max(probabilities[at + label]!, 1e-7));
    both[label]! += probabilities[at + label]!;
    sum[label]! += 1;
    for (let k = 1; k < classCount; k += 1) sum[k]! += probabilities[at + k]!;
  }
  let dice = 0;
  for (let k = 1; k < classCount; k += 1) dice += (2 * both[k]! + 1e-5) / (sum[k]! + 1e-5);
  return entropy / Math.max(1, voxels) + 1 - dice / (classCount - 1);
}

/** Figures of one validation round; `classNames` has the background first. */
export function summarizeResults(results: CaseResult[], classNames: string[]): Evaluation {
  const byGroup = new Map<string, CaseResult[]>();
  const byDecile = new Map<string, number[]>();
  for (const result of results) {
    for (const group of result.groups) byGroup.set(group, [...(byGroup.get(group) ?? []), result]);
    if (result.scoreDecile === null) continue;
    const key = `scoreDecile=${result.scoreDecile}`;
    byDecile.set(key, [...(byDecile.get(key) ?? []), result.loss]);
  }
  const groups = [...byGroup].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    dice: meanDice(results, classNames),
    groups: Object.fromEntries(groups.map(([group, some]) => [group, meanDice(some, classNames)])),
    volumeRatio: volumeRatio(results),
    groupVolumeRatios: Object.fromEntries(
      groups.map(([group, some]) => [group, volumeRatio(some)]),
    ),
    loss: mean(results.map((result) => result.loss)) ?? Number.NaN,
    decileLosses: Object.fromEntries(
      [...byDecile].sort().map(([key, losses]) => [key, mean(losses)!]),
    ),
  };
}

function meanDice(results: CaseResult[], classNames: string[]): Dice {
  const dice: Dice = {};
  for (let k = 1; k < classNames.length; k += 1) {
    const known = results.flatMap(({ counts }) => {
      const { predicted, truth, both } = counts[k]!;
      return predicted + truth === 0 ? [] : [(2 * both) / (predicted + truth)];
    });
    dice[classNames[k]!] = mean(known);
  }
  dice.mean = mean(Object.values(dice).filter((value) => value !== null));
  return dice;
}

/** Predicted foreground voxels over true ones, all cases together; null without true foreground. */
function volumeRatio(results: CaseResult[]): number | null {
  let predicted = 0;
  let truth = 0;
  for (const { counts } of results) {
    for (const count of counts.slice(1)) {
      predicted += count.predicted;
      truth += count.truth;
    }
  }
  return truth === 0 ? null : predicted / truth;
}

function mean(values: number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** An evaluation as metrics: dice per class and group, diceMean, volumeRatio, validationLoss. */
export function evaluationMetrics(
  evaluation: Evaluation,
  at: { step: number; epoch: number },
): Metric[] {
  const metrics: Metric[] = [];
  const add = (name: string, value: number | null | undefined, more: Partial<Metric> = {}) => {
    if (value !== null && value !== undefined && Number.isFinite(value)) {
      metrics.push({ name, value, ...at, ...more });
    }
  };
  const addDice = (dice: Dice, more: Partial<Metric>) => {
    for (const [name, value] of Object.entries(dice)) {
      if (name === 'mean') add('diceMean', value, more);
      else add('dice', value, { ...more, class: name });
    }
  };
  addDice(evaluation.dice, {});
  add('volumeRatio', evaluation.volumeRatio);
  add('validationLoss', evaluation.loss);
  for (const [group, dice] of Object.entries(evaluation.groups)) addDice(dice, { group });
  for (const [group, value] of Object.entries(evaluation.groupVolumeRatios)) {
    add('volumeRatio', value, { group });
  }
  for (const [group, value] of Object.entries(evaluation.decileLosses)) {
    add('validationLoss', value, { group });
  }
  return metrics;
}
