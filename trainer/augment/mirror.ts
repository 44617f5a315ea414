// Mirrors of a patch, and which axes may be mirrored: a mirror that swaps what two classes mean
// teaches the network to confuse them.

import type { RandomWords } from '../../api/weights/philox.ts';
import type { Size } from '../nifti.ts';
import type { Patch } from '../patches.ts';
import { chance } from './chance.ts';

export type MirrorAxis = 'x' | 'y' | 'z';

const axisNames: MirrorAxis[] = ['z', 'y', 'x'];

// Whole words of a label's name, in the languages in which data sets come.
const sideWords = new Set(
  'left right l r lt rt lh rh links rechts gauche droit droite sinister dexter sin dex'.split(' '),
);

/** Whether a label's name says on which side it lies, such as `kidney_left`, `Hippocampus L`. */
export function namesASide(label: string): boolean {
  const words = label.replace(/([a-z])([A-Z])/g, '$1 $2').split(/[^\p{L}\p{N}]+/u);
  return words.some((word) => sideWords.has(word.toLowerCase()));
}

/**
 * The axes that may be mirrored where a job does not say so: left-right only, and none where a
 * label names a side. Front and back, top and bottom are never mirrored unasked: parts of organs
 * are told apart by them.
 */
export function defaultMirrorAxes(labels: string[]): { axes: MirrorAxis[]; reason: string } {
  const sided = labels.filter(namesASide);
  if (sided.length === 0) return { axes: ['x'], reason: 'no label names a side' };
  const shown = sided.slice(0, 3).map((label) => `"${label}"`);
  return { axes: [], reason: `labels name a side: ${shown.join(', ')}` };
}

/** Mirrors each allowed axis half of the time, in place. */
export function mirrorAtRandom(
  patch: Patch,
  { size, axes, random }: { size: Size; axes: MirrorAxis[]; random: RandomWords },
): void {
  for (const axis of axes) if (chance(random, 0.5)) mirrorPatch(patch, size, axis);
}

/** Mirrors image and labels of size [depth, height, width] along one axis, in place. */
export function mirrorPatch({ image, labels }: Patch, size: Size, axis: MirrorAxis): void {
  const place = axisNames.indexOf(axis);
  const inner = size.slice(place + 1).reduce((product, length) => product * length, 1);
  reverseBlocks(labels, size[place], inner);
  reverseBlocks(image, size[place], inner * (image.length / labels.length));
}

/** Mirrors voxels of `values` numbers each, [depth, height, width, value], in place. */
export function mirrorVoxels(
  voxels: Float32Array,
  { size, axis, values }: { size: Size; axis: MirrorAxis; values: number },
): void {
  const place = axisNames.indexOf(axis);
  const inner = size.slice(place + 1).reduce((product, length) => product * length, values);
  reverseBlocks(voxels, size[place], inner);
}

/** Turns the order of every `count` blocks of `length` values around. */
function reverseBlocks(values: Float32Array | Uint8Array, count: number, length: number): void {
  for (let first = 0; first < values.length; first += count * length) {
    for (let low = 0, high = count - 1; low < high; low++, high--) {
      const a = first + low * length;
      const b = first + high * length;
      for (let k = 0; k < length; k++) {
        const kept = values[a + k];
        values[a + k] = values[b + k];
        values[b + k] = kept;
      }
    }
  }
}
