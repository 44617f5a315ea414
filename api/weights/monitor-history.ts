// What monitors read and say: the history of a job, and the findings in it.

/** A reported number; points come in the order of their arrival. */
export type Point = {
  attempt: number;
  name: string;
  value: number;
  step: number;
  epoch: number | null;
  /** `attribute=value`, or `scoreDecile=0` to `scoreDecile=9`. */
  group: string | null;
};

/** A reported range of draws, and whether it was the plan's; in the order of arrival. */
export type Range = {
  attempt: number;
  epoch: number;
  from: number;
  draws: number;
  matches: boolean;
};

export type History = { points: Point[]; ranges: Range[] };
/** `patience` rounds in a row, each over `threshold`, whose unit is the monitor's. */
export type Limits = { threshold: number; patience: number };

/** One episode's start. `value` is null where it is no number: a loss that is not finite. */
export type Finding = {
  /** The group or range that it is about; null: the whole job. */
  subject: string | null;
  step: number | null;
  epoch: number | null;
  value: number | null;
  /** Rounds in a row that the condition had held. */
  rounds: number;
  sentence: string;
};

/** The newest `value` (null: none yet), whether the condition holds now, and all episodes. */
export type Verdict = { value: number | null; fired: boolean; findings: Finding[] };

/**
 * The points that led to where the job is now: where a later attempt began again at an earlier
 * step, what the attempts before had reported from there on is left out.
 */
export function pointsOfLine(points: Point[]): Point[] {
  const starts = new Map<number, number>();
  for (const { attempt, step } of points) {
    starts.set(attempt, Math.min(step, starts.get(attempt) ?? Infinity));
  }
  const begun = [...starts];
  return points.filter(({ attempt, step }) =>
    begun.every(([other, start]) => other <= attempt || step < start),
  );
}

/** One value per step, the last that arrived, in the order of steps. */
export function series(points: Point[]): Point[] {
  const byStep = new Map(points.map((point) => [point.step, point]));
  return [...byStep.values()].sort((a, b) => a.step - b.step);
}

/** A number as a sentence shows it. */
export const brief = (value: number) => String(Number(value.toPrecision(3)));
/** Where it was: the epoch, or the step where no epoch was reported. */
export const placeOf = ({ epoch, step }: { epoch: number | null; step: number }) =>
  epoch === null ? `step ${step}` : `epoch ${epoch}`;
