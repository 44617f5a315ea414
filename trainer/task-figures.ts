// What a prediction is worth, for classes and for regions, over the voxels that somebody labelled.

import type { TrainerCase } from '../api/contract/trainer.ts';
import type { MirrorAxis } from './augment/mirror.ts';
import type { LoadedCase } from './data.ts';
import {
  type CaseResult,
  type Counts,
  countVoxels,
  likeliestClasses,
  volumeLoss,
} from './evaluate.ts';
import { type Predictor, predictCase } from './inference.ts';
import { allowedValues, type LabelTask, plainTask } from './labels.ts';
import { groupKeys } from './settings.ts';

/** Predicts one whole case and compares it with its label; nothing is learned from it. */
export async function evaluateCase(
  loaded: LoadedCase,
  line: TrainerCase,
  learner: Predictor,
  { mirrorAxes = [], task = plainTask(learner.classCount) }: Judging = {},
): Promise<CaseResult> {
  const { probabilities, labels } = await predictCase(loaded, learner, mirrorAxes);
  return {
    id: line.id,
    groups: groupKeys(line),
    scoreDecile: line.scoreDecile,
    loss: taskVolumeLoss(probabilities, labels, task),
    counts: taskCounts(labelImage(probabilities, task), labels, task),
  };
}

type Judging = { mirrorAxes?: MirrorAxis[]; task?: LabelTask };

/** The label image of probabilities [voxel, output]: the likeliest class, or regions above 0.5. */
export function labelImage(probabilities: Float32Array, task: LabelTask): Uint8Array {
  const { names, regions, written } = task;
  if (regions === null) return likeliestClasses(probabilities, names.length);
  const image = new Uint8Array(probabilities.length / names.length);
  for (let voxel = 0, at = 0; voxel < image.length; voxel += 1) {
    for (let k = 0; k < names.length; k += 1, at += 1) {
      if (probabilities[at] > 0.5) image[voxel] = written[k];
    }
  }
  return image;
}

/**
 * Voxels of each reported name in two label images and in both; first the background, in no
 * region. Voxels that nobody labelled are left out.
 */
export function taskCounts(predicted: Uint8Array, truth: Uint8Array, task: LabelTask): Counts[] {
  const { regions, ignore } = task;
  if (regions === null) return countVoxels(predicted, truth, task.names.length);
  const background = [...allowedValues(task)].filter((value) => !regions.flat().includes(value));
  const inside = [background, ...regions].map((values) => {
    const within = new Uint8Array(256);
    for (const value of values) within[value] = 1;
    return within;
  });
  const counts = inside.map(() => ({ predicted: 0, truth: 0, both: 0 }));
  for (let voxel = 0; voxel < truth.length; voxel += 1) {
    if (truth[voxel] === ignore) continue;
    for (const [k, within] of inside.entries()) {
      const [here, there] = [within[predicted[voxel]], within[truth[voxel]]];
      counts[k].predicted += here;
      counts[k].truth += there;
      counts[k].both += here & there;
    }
  }
  return counts;
}

/** The loss of METHOD.md section 7 over a whole volume, as the network's outputs are trained. */
export function taskVolumeLoss(
  probabilities: Float32Array,
  truth: Uint8Array,
  task: LabelTask,
): number {
  const { names, regions } = task;
  if (regions === null) return volumeLoss(probabilities, truth, names.length);
  const parts = regions.map((_, k) => regionVolumeLoss(probabilities, truth, { task, k }));
  return parts.reduce((sum, part) => sum + part, 0) / parts.length;
}

function regionVolumeLoss(
  probabilities: Float32Array,
  truth: Uint8Array,
  { task, k }: { task: LabelTask; k: number },
): number {
  const { names, ignore } = task;
  const within = new Set(task.regions?.[k]);
  let [voxels, entropy, both, size] = [0, 0, 0, 0];
  for (let voxel = 0; voxel < truth.length; voxel += 1) {
    if (truth[voxel] === ignore) continue;
    const p = probabilities[voxel * names.length + k];
    const inside = within.has(truth[voxel]);
    voxels += 1;
    entropy -= Math.log(Math.max(inside ? p : 1 - p, 1e-7));
    size += p + Number(inside);
    if (inside) both += p;
  }
  return entropy / Math.max(1, voxels) + 1 - (2 * both + 1e-5) / (size + 1e-5);
}
