// One batch from its draws: the same function in the worker and in the trainer's own thread, so
// that both give the same bytes. Everything random about a patch comes from its draw's stream.

import { drawPatch, type PatchSettings } from '../augment/augment.ts';
import type { LoadedCase } from '../data.ts';
import { drawStream } from '../sampler.ts';
import type { Batch } from '../step.ts';

/** A batch's cases in plan order; the first of them is draw `position` of the epoch's plan. */
export type DrawnBatch = { ids: string[]; seed: number; epoch: number; position: number };

/** Loads, cuts and augments the patches of a batch; an error names the case. */
export async function assembleBatch(
  { ids, seed, epoch, position }: DrawnBatch,
  given: {
    load: (id: string) => Promise<LoadedCase>;
    settings: PatchSettings;
    channelCount: number;
  },
): Promise<Batch> {
  const { load, settings, channelCount } = given;
  const [depth, height, width] = settings.patch;
  const voxels = depth * height * width;
  const images = new Float32Array(ids.length * voxels * channelCount);
  const labels = new Int32Array(ids.length * voxels);
  for (const [place, id] of ids.entries()) {
    const loaded = await load(id).catch((error: Error) => {
      throw new Error(`case ${id}: ${error.message}`, { cause: error });
    });
    const random = drawStream({ seed, epoch, position: position + place });
    const one = drawPatch(loaded, settings, random);
    images.set(one.image, place * voxels * channelCount);
    labels.set(one.labels, place * voxels);
  }
  return { images, labels };
}
