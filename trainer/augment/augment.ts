// One patch of one draw, from its case to what the network sees. All chance comes from the stream
// of the draw, in a fixed order: foreground, place, transform, intensity, mirrors.

import type { RandomWords } from '../../api/weights/philox.ts';
import type { LoadedCase } from '../data.ts';
import type { Size } from '../nifti.ts';
import { copyPatch, forcedForeground, type Patch, placePatch } from '../patches.ts';
import { changeFully, changeMildly } from './intensity.ts';
import { defaultMirrorAxes, type MirrorAxis, mirrorAtRandom } from './mirror.ts';
import { drawMildTransform, drawTransform, inPlaneOnly, transformedPatch } from './spatial.ts';

/** What a job's settings say about its patches. */
export type PatchSettings = {
  patch: Size;
  augmentation: 'none' | 'mild' | 'full';
  mirrorAxes: MirrorAxis[];
  /** Share of patches that must show foreground. */
  foregroundShare: number;
};

/** The axes that a job asks for, or the default for its labels, saying why. */
export function resolveMirrorAxes(
  asked: MirrorAxis[] | undefined,
  { labels, say }: { labels: string[]; say: (line: string) => void },
): MirrorAxis[] {
  if (asked !== undefined) return asked;
  const { axes, reason } = defaultMirrorAxes(labels);
  say(`mirrored axes: ${axes.join(', ') || 'none'}, as ${reason}`);
  return axes;
}

/** Cuts and augments the patch of a draw; the same stream gives the same bytes. */
export function drawPatch(loaded: LoadedCase, settings: PatchSettings, random: RandomWords): Patch {
  const { patch, augmentation, mirrorAxes, foregroundShare } = settings;
  const forceForeground = forcedForeground(random, foregroundShare);
  const placement = placePatch({ loaded, patch, random, forceForeground });
  if (augmentation === 'none') return copyPatch(loaded, placement.start, patch);
  const { spacing, channels } = loaded;
  const full = augmentation === 'full';
  const draw = full ? drawTransform : drawMildTransform;
  const transform = draw(random, { patch, spacing, mirrorAxes });
  const one =
    transform === null
      ? copyPatch(loaded, placement.start, patch)
      : transformedPatch(loaded, placement, { patch, transform });
  if (full) {
    const voxels = { image: one.image, size: patch, channels };
    changeFully(voxels, random, inPlaneOnly(patch, spacing));
  } else {
    changeMildly(one.image, random);
  }
  mirrorAtRandom(one, { size: patch, axes: mirrorAxes, random });
  return one;
}
