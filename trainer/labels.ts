// What a network tells apart: classes of which each voxel has one, or regions that may lie within
// each other; and the voxels that nobody labelled, which neither teach nor judge.

import type { TrainerJob } from '../api/contract/trainer.ts';
import { exitCodes, TrainerError } from './settings.ts';

/** One output of the network per name; plain data, for it also goes to workers and checkpoints. */
export type LabelTask = {
  /** Classes with the background first, or regions from the widest to the narrowest. */
  names: string[];
  /** The label values of each region; null where names are classes. */
  regions: number[][] | null;
  /** What each output is written as in a label image. */
  written: number[];
  /** The value of voxels that nobody labelled, or null. */
  ignore: number | null;
};

function refuse(message: string): never {
  throw new TrainerError(message, exitCodes.configuration);
}

/**
 * The task of labels as in nnU-Net's dataset.json. Values run from 0 (background) without gaps;
 * `ignore` is the highest. Throws TrainerError (configuration) naming the label that does not fit.
 */
export function labelTask(labels: TrainerJob['labels']): LabelTask {
  const { ignore, ...rest } = labels;
  const entries = Object.entries(rest);
  const values = new Set(entries.flatMap(([, value]) => value));
  const top = Math.max(...values);
  for (let value = 0; value <= top; value++) {
    if (!values.has(value)) {
      refuse(`no label has the value ${value}: values must run from 0 without gaps`);
    }
  }
  if (Array.isArray(ignore)) refuse('the label "ignore" is a region, but must be one value');
  if (ignore !== undefined && ignore !== top + 1) {
    refuse(`the label "ignore" is ${ignore}, but must be the highest value, here ${top + 1}`);
  }
  const known = { ignore: ignore ?? null };
  const regions = entries.filter(([, value]) => Array.isArray(value) && value.length > 0);
  const task = regions.length === 0 ? classTask(entries) : regionTask(entries);
  return { ...task, ...known };
}

type Entries = [string, number | number[]][];

function classTask(entries: Entries): Omit<LabelTask, 'ignore'> {
  const names: string[] = [];
  for (const [name, value] of entries as [string, number][]) {
    if (names[value] !== undefined) {
      refuse(`labels "${names[value]}" and "${name}" are both ${value}`);
    }
    names[value] = name;
  }
  if (names.length < 2) refuse('the dataset has no label besides background');
  return { names, regions: null, written: names.map((_, value) => value) };
}

// Written in order, each over the one before, as nnU-Net's regions_class_order says; a region is
// written as the value that is in none of the narrower ones.
function regionTask(entries: Entries): Omit<LabelTask, 'ignore'> {
  const sorted = entries
    .map(([name, value]) => ({ name, values: [value].flat().sort((a, b) => a - b) }))
    .filter(({ values }) => values.some((value) => value !== 0))
    .sort((a, b) => b.values.length - a.values.length || a.values[0] - b.values[0]);
  const written = sorted.map(({ name, values }, place) => {
    const later = new Set(sorted.slice(place + 1).flatMap((one) => one.values));
    const own = values.find((value) => !later.has(value));
    if (own === undefined) {
      refuse(`region "${name}" has no value of its own: narrower regions cover all of it`);
    }
    return own;
  });
  const background = sorted.find(({ values }) => values.includes(0));
  if (background) refuse(`region "${background.name}" contains the background, 0`);
  return {
    names: sorted.map(({ name }) => name),
    regions: sorted.map((one) => one.values),
    written,
  };
}

/** Names of what is reported, background first: summaries count from it. */
export function reportedNames({ names, regions }: LabelTask): string[] {
  return regions === null ? names : ['background', ...names];
}

/** Every value that a label image may hold. */
export function allowedValues({ regions, written, ignore }: LabelTask): Set<number> {
  const values = new Set([0, ...(regions ?? [written]).flat()]);
  if (ignore !== null) values.add(ignore);
  return values;
}

/** The key of each reported name in nnU-Net's summary.json: a value, or a tuple of them. */
export function summaryKeys({ regions, written }: LabelTask): string[] {
  if (regions === null) return written.slice(1).map(String);
  return regions.map((values) => (values.length === 1 ? `${values[0]}` : `(${values.join(', ')})`));
}

/** Plain classes 0 to count-1, all of them labelled. */
export function plainTask(count: number): LabelTask {
  const written = Array.from({ length: count }, (_, value) => value);
  return { names: written.map(String), regions: null, written, ignore: null };
}
