// nnU-Net's summary.json of a fold's validation: per case and class, and their means.

import type { Counts } from './evaluate.ts';

/** What nnU-Net says of one class in one case; NaN where the class is in neither image. */
export type ClassMetrics = {
  Dice: number;
  FN: number;
  FP: number;
  IoU: number;
  TN: number;
  TP: number;
  n_pred: number;
  n_ref: number;
};

/** A case's counts per reported name, background first, and how many voxels it has. */
export type ScoredCase = { id: string; counts: Counts[]; voxels: number };

type Means = Record<keyof ClassMetrics, number>;

export type Summary = {
  foreground_mean: Means;
  mean: Record<string, Means>;
  metric_per_case: {
    metrics: Record<string, ClassMetrics>;
    prediction_file: string;
    reference_file: string;
  }[];
};

/** Metrics of every class or region under its key; the counts start with background. */
export function classMetrics(
  { counts, voxels }: Omit<ScoredCase, 'id'>,
  keys: string[],
): Record<string, ClassMetrics> {
  const classes = counts.slice(1).map(({ predicted, truth, both }, place) => {
    const [FP, FN] = [predicted - both, truth - both];
    const metrics: ClassMetrics = {
      Dice: (2 * both) / (predicted + truth),
      FN,
      FP,
      IoU: both / (both + FP + FN),
      TN: voxels - both - FP - FN,
      TP: both,
      n_pred: predicted,
      n_ref: truth,
    };
    return [keys[place], metrics];
  });
  return Object.fromEntries(classes);
}

const names = ['Dice', 'FN', 'FP', 'IoU', 'TN', 'TP', 'n_pred', 'n_ref'] as const;

function meanOf(rows: Means[]): Means {
  const means = names.map((name) => {
    const known = rows.map((row) => row[name]).filter((value) => !Number.isNaN(value));
    return [name, known.reduce((sum, value) => sum + value, 0) / known.length];
  });
  return Object.fromEntries(means) as Means;
}

/** The summary of a fold; files are named without their folders, which may name patients. */
export function summaryOf(cases: ScoredCase[], keys: string[], fileEnding: string): Summary {
  const perCase = cases.map(({ id, ...counted }) => ({
    metrics: classMetrics(counted, keys),
    prediction_file: `${id}${fileEnding}`,
    reference_file: `${id}${fileEnding}`,
  }));
  const mean = Object.fromEntries(
    keys.map((key) => [key, meanOf(perCase.map(({ metrics }) => metrics[key]))]),
  );
  return { foreground_mean: meanOf(Object.values(mean)), mean, metric_per_case: perCase };
}

/** The summary as nnU-Net writes it: a Dice that is not defined is the bare word NaN. */
export function summaryText(summary: Summary): string {
  const marked = (_: string, value: unknown) => (Number.isNaN(value) ? '\u0000NaN' : value);
  return `${JSON.stringify(summary, marked, 4).replaceAll('"\\u0000NaN"', 'NaN')}\n`;
}
