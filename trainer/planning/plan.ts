// The plan of a run from its training cases, as nnU-Net makes it (Isensee et al., 2021), within a
// budget of memory. Pure: the same fingerprint and settings give the same plan.

import type { Normalization, TrainingPlan } from '../../api/contract/plans.ts';
import type { Size } from '../nifti.ts';
import { defaultMemoryMiB, exitCodes, TrainerError } from '../settings.ts';
import { arraysWithin, type StepSize, stepBytes } from './memory.ts';
import { type CaseGrid, medianShapeAt, targetSpacing } from './spacing.ts';
import { divisorsOf, kernelsFor, smallestFeatureMap, stridesFor } from './topology.ts';

/** What the training cases say of themselves; `normalization` is in the order of the channels. */
export type Fingerprint = { grids: CaseGrid[]; normalization: Normalization[] };

/** The settings of a job that have a say in its plan. */
export type PlanSettings = {
  batchSize: number;
  memoryMiB: number;
  spacing?: Size;
  normalization?: string[];
  patch: Size | null;
  features?: number[];
  kernels?: Size[];
  strides?: Size[];
};

/** How wide, deep and large a network is planned within a budget: see README.md. */
const tiers = [
  { upToMiB: defaultMemoryMiB, firstFeatures: 8, levels: 3, side: 64 },
  { upToMiB: 8192, firstFeatures: 16, levels: 5, side: 128 },
  { upToMiB: Number.POSITIVE_INFINITY, firstFeatures: 32, levels: 6, side: 256 },
];
const mostFeatures = { flat: 512, deep: 320 };
/** A patch that does not fit with sides of this many voxels is not worth training on. */
const shortestSide = 2 * smallestFeatureMap;
/** Where the search for a patch begins: a square of 2048 pixels or a cube of 256 voxels, in mm. */
const firstVoxels = { flat: 2048 ** 2, deep: 256 ** 3 };

/** Plans a run. Throws a TrainerError naming the setting that does not fit the others. */
export function planTraining(given: {
  fingerprint: Fingerprint;
  settings: PlanSettings;
  classes: number;
}): TrainingPlan {
  const { fingerprint, settings, classes } = given;
  const { grids, normalization } = fingerprint;
  const spacing = settings.spacing ?? targetSpacing(grids);
  const median = medianShapeAt(grids, spacing);
  const channels = normalization.length;
  const network = planNetwork({ spacing, median: median.shape, settings, channels, classes });
  const { estimate, ...sizes } = network;
  const settable = ['spacing', 'patch', 'features', 'kernels', 'strides', 'normalization'] as const;
  return {
    spacing,
    medianShape: median.shape,
    cases: { training: grids.length, resampled: median.changed },
    ...sizes,
    normalization,
    memoryMiB: { estimate, budget: settings.memoryMiB },
    overridden: settable.filter((part) => settings[part] != null),
  };
}

type Given = {
  spacing: Size;
  median: Size;
  settings: PlanSettings;
  channels: number;
  classes: number;
};
type NetworkPlan = Pick<TrainingPlan, 'patch' | 'features' | 'kernels' | 'strides'> & {
  estimate: number;
};

const product = (size: Size): number => size[0] * size[1] * size[2];

/** Shrinks the patch along its relatively longest axis until a step fits the budget. */
function planNetwork(given: Given): NetworkPlan {
  const { spacing, median, settings } = given;
  const tier = tiers.find(({ upToMiB }) => settings.memoryMiB <= upToMiB)!;
  let wanted = settings.patch ?? firstPatch(spacing, median);
  for (let tries = 0; ; tries++) {
    const levels = levelsFor(given, tier, wanted);
    const divisors = divisorsOf(levels.strides);
    const round = tries === 0 ? Math.round : Math.floor;
    // Levels count halves rounded up; rounded down, the coarsest could be a voxel short.
    const least = settings.features || settings.strides ? 1 : smallestFeatureMap;
    const patch = settings.patch ?? fitted(wanted, divisors, { round, least });
    requireFitting(patch, divisors);
    const arrays = arraysWithin(settings.memoryMiB);
    const estimate = Math.ceil(stepBytes(sizeOf(given, levels, patch), arrays) / 2 ** 20);
    const small = product(patch) <= tier.side ** 3 && estimate <= settings.memoryMiB;
    if (small || settings.patch) return { ...levels, patch, estimate };
    const axis = longestAxis(patch, median, divisors);
    if (axis === null) {
      refuse(
        `settings.memoryMiB: ${settings.memoryMiB} MiB are too few for one step: a patch of ` +
          `${patch.join(' x ')} in batches of ${settings.batchSize} needs ${estimate} MiB`,
      );
    }
    // What rounding added beyond the median case goes first.
    wanted = patch.map((length, k) => Math.min(length, median[k])) as Size;
    wanted[axis] = Math.min(wanted[axis], patch[axis] - divisors[axis]);
  }
}

const sizeOf = (
  { settings, channels, classes }: Given,
  levels: Pick<NetworkPlan, 'features' | 'kernels' | 'strides'>,
  patch: Size,
): StepSize => ({ ...levels, patch, batchSize: settings.batchSize, channels, classes });

/** A cube in mm of as many voxels as the largest patch, nowhere larger than the median case. */
function firstPatch(spacing: Size, median: Size): Size {
  const flat = median[0] === 1;
  const axes = flat ? [1, 2] : [0, 1, 2];
  const volume = axes.reduce((mm, axis) => mm * spacing[axis], 1);
  const side = ((flat ? firstVoxels.flat : firstVoxels.deep) * volume) ** (1 / axes.length);
  return median.map((length, axis) =>
    flat && axis === 0 ? 1 : Math.min(length, Math.max(1, Math.round(side / spacing[axis]))),
  ) as Size;
}

function levelsFor(
  { spacing, settings }: Given,
  tier: (typeof tiers)[number],
  patch: Size,
): Pick<NetworkPlan, 'features' | 'kernels' | 'strides'> {
  const { features } = settings;
  const exact = features !== undefined;
  const levels = features?.length ?? tier.levels;
  const strides = settings.strides ?? stridesFor(spacing, patch, { levels, exact });
  const most = patch[0] === 1 ? mostFeatures.flat : mostFeatures.deep;
  const counted = strides.map((_, level) => Math.min(most, tier.firstFeatures * 2 ** level));
  const kernels = settings.kernels ?? kernelsFor(spacing, patch, strides);
  if (product(strides[0]) !== 1) {
    refuse('settings.network.strides: the first level has the stride [1, 1, 1]');
  }
  if (exact && strides.length < levels) {
    refuse(
      `settings.network: a patch of ${patch.join(' x ')} can be halved for ${strides.length} ` +
        `levels, not for ${levels}: give fewer levels or a larger patch`,
    );
  }
  return { features: features ?? counted, kernels, strides };
}

function fitted(
  wanted: Size,
  divisors: Size,
  { round, least }: { round: (value: number) => number; least: number },
): Size {
  return wanted.map((length, axis) => {
    const divisor = divisors[axis];
    const maps = Math.max(divisor === 1 ? 1 : least, round(length / divisor));
    return maps * divisor;
  }) as Size;
}

function requireFitting(patch: Size, divisors: Size): void {
  if (patch.every((length, axis) => length % divisors[axis] === 0)) return;
  refuse(
    `settings.patch: ${patch.join(' x ')} must be multiples of ${divisors.join(' x ')}, ` +
      'by which the network makes it smaller',
  );
}

/** The axis that shows most of the median case and can be made shorter, or null. */
function longestAxis(patch: Size, median: Size, divisors: Size): number | null {
  const axes = [0, 1, 2].filter((axis) => patch[axis] - divisors[axis] >= shortestSide);
  const shown = (axis: number) => patch[axis] / median[axis];
  axes.sort((a, b) => shown(b) - shown(a) || patch[b] - patch[a]);
  return axes[0] ?? null;
}

function refuse(message: string): never {
  throw new TrainerError(message, exitCodes.configuration);
}

/** The plan in a few lines for people; `channels` are their names in order. */
export function planLines(plan: TrainingPlan, channels: string[]): string[] {
  const { spacing, medianShape, cases, memoryMiB, overridden } = plan;
  const size = (values: number[], digits = 6) =>
    values.map((value) => Number(value.toPrecision(digits))).join(' x ');
  const levels = plan.features.map((count, level) => {
    const stride = level === 0 ? '' : ` after stride ${plan.strides[level].join('x')}`;
    return `${count} of ${plan.kernels[level].join('x')}${stride}`;
  });
  const scales = plan.normalization.map((scale, channel) => {
    if (scale.kind !== 'ct') return `${channels[channel]} ${scale.kind}`;
    const [low, high, mean, deviation] = [scale.low, scale.high, scale.mean, scale.deviation].map(
      (value) => Number(value.toPrecision(5)),
    );
    return `${channels[channel]} ct, clipped to ${low} ... ${high}, mean ${mean} (${deviation})`;
  });
  const over = memoryMiB.estimate > memoryMiB.budget ? ': MORE than the budget' : '';
  return [
    `plan: spacing ${size(spacing, 4)} mm, median case ${size(medianShape)}; ` +
      `${cases.resampled} of ${cases.training} training cases are resampled`,
    `plan: patch ${size(plan.patch)}, features per level ${levels.join(', ')}`,
    `plan: about ${memoryMiB.estimate} of ${memoryMiB.budget} MiB for a step${over}`,
    `plan: channels ${scales.join('; ')}`,
    ...(overridden.length > 0 ? [`plan: from the settings: ${overridden.join(', ')}`] : []),
  ];
}
