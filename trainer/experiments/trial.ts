// One arm, one seed: a fresh network trained on whole made-up images by an arm's draws, then seen
// on a separate natural mix of cases, uniform and unweighted.

import { countVoxels, likeliestClasses } from '../evaluate.ts';
import { createLearner, type Learner } from '../learner.ts';
import type { Size } from '../nifti.ts';
import { polyDecay } from '../optimizer.ts';
import type { BackendName } from '../tensorflow/backend.ts';
import type { Arm } from './arms.ts';
import { type PlaneCase, side } from './planes.ts';

export type TrialSettings = {
  steps: number;
  batchSize: number;
  drawsPerEpoch: number;
  learningRate: number;
  averaging: number;
  features: number[];
};

export type Figures = {
  /** Per class, over all pixels of all validation cases together; null where it is nowhere. */
  dice: (number | null)[];
  /** Predicted over true pixels of the rare class, by the likeliest class. */
  calledRatio: number;
  /** The same with probabilities for predicted pixels: what the network believes. */
  expectedRatio: number;
  /** Mean over pixels of minus the log of the true class's probability. */
  logLoss: number;
};

const size: Size = [1, side, side];
const pixels = side * side;
const classCount = 3;
const rare = 2;

/** What is told about an epoch: each case's mean unweighted loss in it, and its draws. */
export type EpochEnd = (epoch: number, losses: Map<string, { sum: number; draws: number }>) => void;

/** Trains a fresh network; the same seed gives the same start for every arm. */
export function trainArm(given: {
  arm: Arm;
  cases: PlaneCase[];
  settings: TrialSettings;
  seed: number;
  backend: BackendName;
  epochEnd?: EpochEnd;
}): Learner {
  const { arm, settings, seed, backend } = given;
  const { steps, batchSize, drawsPerEpoch, averaging, features } = settings;
  const byId = new Map(given.cases.map((one) => [one.id, one]));
  const optimizer = { kind: 'adam' as const, averaging };
  const shape = { patch: size, channelCount: 1, classCount, features };
  const learner = createLearner({ ...shape, backend, seed, optimizer });
  const stepsPerEpoch = drawsPerEpoch / batchSize;
  let plan: string[] = [];
  let losses: Parameters<EpochEnd>[1] = new Map();
  for (let step = 0; step < steps; step++) {
    const place = step % stepsPerEpoch;
    const epoch = (step - place) / stepsPerEpoch;
    if (place === 0) plan = arm.plan({ seed, epoch, drawsPerEpoch });
    const ids = plan.slice(place * batchSize, (place + 1) * batchSize);
    const result = learner.step({
      ...batchOf(ids.map((id) => byId.get(id)!)),
      lossFactors: ids.map(arm.lossFactorOf),
      learningRate: polyDecay(settings.learningRate, step, steps),
    });
    if (result.skipped) throw new Error(`step ${step} of ${arm.name}, seed ${seed}: not finite`);
    for (const [k, id] of ids.entries()) {
      const { sum, draws } = losses.get(id) ?? { sum: 0, draws: 0 };
      losses.set(id, { sum: sum + result.caseLosses[k], draws: draws + 1 });
    }
    if (place === stepsPerEpoch - 1) {
      given.epochEnd?.(epoch, losses);
      losses = new Map();
    }
  }
  return learner;
}

function batchOf(cases: PlaneCase[]): { images: Float32Array; labels: Int32Array } {
  const images = new Float32Array(cases.length * pixels);
  const labels = new Int32Array(cases.length * pixels);
  for (const [k, one] of cases.entries()) {
    images.set(one.image, k * pixels);
    labels.set(one.labels, k * pixels);
  }
  return { images, labels };
}

/** The network's figures on cases that it never learned from. */
export async function figuresOf(learner: Learner, cases: PlaneCase[]): Promise<Figures> {
  const sums = Array.from({ length: classCount }, () => ({ predicted: 0, truth: 0, both: 0 }));
  let expected = 0;
  let logLoss = 0;
  for (const { image, labels } of cases) {
    const probabilities = await learner.probabilities(image, size);
    const called = likeliestClasses(probabilities, classCount);
    for (const [k, counts] of countVoxels(called, labels, classCount).entries()) {
      for (const name of ['predicted', 'truth', 'both'] as const) sums[k][name] += counts[name];
    }
    for (let k = 0; k < pixels; k++) {
      expected += probabilities[k * classCount + rare];
      logLoss -= Math.log(Math.max(probabilities[k * classCount + labels[k]], 1e-7));
    }
  }
  const dice = sums.map(({ predicted, truth, both }) =>
    predicted + truth === 0 ? null : (2 * both) / (predicted + truth),
  );
  const { predicted, truth } = sums[rare];
  return {
    dice,
    calledRatio: predicted / truth,
    expectedRatio: expected / truth,
    logLoss: logLoss / (pixels * cases.length),
  };
}
