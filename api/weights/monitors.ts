// The monitors of METHOD.md section 9: what a job reported, read for harm. A monitor fires once per
// episode: when its condition has held for `patience` rounds in a row, and again only after a round
// in which it did not hold. Everything follows from the history; no state is kept beside it.

import type { MonitorName } from '../contract/settings.ts';
import { instability } from './instability.ts';
import {
  brief,
  type Finding,
  type History,
  type Limits,
  type Point,
  placeOf,
  pointsOfLine,
  series,
  type Verdict,
} from './monitor-history.ts';

const rules: Record<MonitorName, (history: History, limits: Limits) => Verdict> = {
  sampledCaseOverfit,
  groupRegression,
  calibrationDrift,
  instability: ({ points }, limits) => instability(pointsOfLine(points), limits),
  drawMismatch,
};

/** What a monitor says of a history (METHOD.md section 9). */
export function monitorVerdict(name: MonitorName, history: History, limits: Limits): Verdict {
  return rules[name](history, limits);
}

/** Tells episodes of one monitor apart; a resumed attempt that repeats a step repeats its key. */
export function findingKey({ subject, step, epoch, value }: Finding): string {
  return JSON.stringify([subject, value === null ? `epoch ${epoch}` : (step ?? epoch)]);
}

type Reading = {
  step: number;
  epoch: number | null;
  value: number;
  holds: boolean;
  say: (rounds: number) => string;
};

// Readings of one subject in order; the condition holding `patience` times in a row is an episode.
function episodes(readings: Reading[], patience: number, subject: string | null): Verdict {
  const findings: Finding[] = [];
  let rounds = 0;
  for (const { step, epoch, value, holds, say } of readings) {
    rounds = holds ? rounds + 1 : 0;
    if (rounds !== patience) continue;
    findings.push({ subject, step, epoch, value, rounds, sentence: say(rounds) });
  }
  return { value: readings.at(-1)?.value ?? null, fired: rounds >= patience, findings };
}

// What is over a limit only by the last bits of a double is not over it.
const slack = 1e-9;

const times = (rounds: number) => (rounds === 1 ? 'in 1 round' : `for ${rounds} rounds`);

// value: how far the worst group's mean Dice is below its best so far.
function groupRegression({ points }: History, { threshold, patience }: Limits): Verdict {
  const groups = new Map<string, Point[]>();
  for (const point of pointsOfLine(points)) {
    if (point.name !== 'diceMean' || point.group === null) continue;
    groups.set(point.group, [...(groups.get(point.group) ?? []), point]);
  }
  const verdicts = [...groups].map(([group, all]) => {
    const readings: Reading[] = [];
    let best: Point | null = null;
    for (const point of series(all)) {
      if (best === null || point.value > best.value) best = point;
      const drop = best.value - point.value;
      const from = `${brief(best.value)} (${placeOf(best)})`;
      const to = `${brief(point.value)} (${placeOf(point)})`;
      const say = (rounds: number) =>
        `Dice of group ${group} fell from ${from} to ${to}, ${brief(drop)} below its best; over the threshold of ${threshold} ${times(rounds)}`;
      readings.push({ ...point, value: drop, holds: drop > threshold + slack, say });
    }
    return episodes(readings, patience, group);
  });
  const values = verdicts.flatMap(({ value }) => (value === null ? [] : [value]));
  return {
    value: values.length === 0 ? null : Math.max(...values),
    fired: verdicts.some(({ fired }) => fired),
    findings: verdicts.flatMap(({ findings }) => findings),
  };
}

// value: predicted over true foreground volume; the smallest ratio is the inverse of the largest.
function calibrationDrift({ points }: History, { threshold, patience }: Limits): Verdict {
  const most = Math.max(threshold, 1 / threshold);
  const line = pointsOfLine(points);
  const all = series(line.filter(({ name, group }) => name === 'volumeRatio' && group === null));
  const readings = all.map((point): Reading => {
    const { value } = point;
    const holds = value > most + slack || value < 1 / most - slack;
    const say = (rounds: number) =>
      `predicted foreground volume is ${brief(value)} times the true one (${placeOf(point)}), outside ${brief(1 / most)} to ${brief(most)} ${times(rounds)}`;
    return { ...point, holds, say };
  });
  return episodes(readings, patience, null);
}

const decileOf = (group: string | null) => Number(group?.match(/^scoreDecile=(\d)$/)?.[1] ?? -1);

// value: (validation loss - training loss) of the top score decile less that of the bottom one. Top
// and bottom are the outermost deciles that have cases on both sides; a round without is no round.
function sampledCaseOverfit({ points }: History, { threshold, patience }: Limits): Verdict {
  const ofDeciles = pointsOfLine(points)
    .filter(({ name, group }) => decileOf(group) >= 0 && /^(caseLoss|validationLoss)$/.test(name))
    .sort((a, b) => a.step - b.step || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const training = new Map<number, number>();
  const rounds = new Map<number, { epoch: number | null; gaps: Map<number, number> }>();
  for (const { name, group, value, step, epoch } of ofDeciles) {
    const decile = decileOf(group);
    const trained = training.get(decile);
    if (name === 'caseLoss') training.set(decile, value);
    else if (trained !== undefined) {
      const round = rounds.get(step) ?? { epoch, gaps: new Map<number, number>() };
      round.gaps.set(decile, value - trained);
      rounds.set(step, round);
    }
  }
  const readings: Reading[] = [];
  for (const [step, { epoch, gaps }] of rounds) {
    const top = Math.max(...gaps.keys());
    const bottom = Math.min(...gaps.keys());
    if (top === bottom) continue;
    const gap = { top: gaps.get(top) as number, bottom: gaps.get(bottom) as number };
    const value = gap.top - gap.bottom;
    const say = (count: number) =>
      `validation loss is above training loss by ${brief(gap.top)} in score decile ${top} and by ${brief(gap.bottom)} in decile ${bottom} (${placeOf({ epoch, step })}): the gap of what is drawn most is larger by ${brief(value)}, over the threshold of ${threshold} ${times(count)}`;
    readings.push({ step, epoch, value, holds: value > threshold + slack, say });
  }
  return episodes(readings, patience, null);
}

// value: how many ranges in a row, of one attempt, are not the plan's; `threshold` counts them too.
function drawMismatch({ ranges }: History, { threshold, patience }: Limits): Verdict {
  const needed = Math.max(patience, Math.ceil(threshold));
  const findings: Finding[] = [];
  let wrong = 0;
  for (const [k, { attempt, epoch, from, draws, matches }] of ranges.entries()) {
    if (ranges[k - 1]?.attempt !== attempt) wrong = 0;
    wrong = matches ? 0 : wrong + 1;
    if (wrong !== needed) continue;
    const subject = `draws ${from} to ${from + draws - 1} of attempt ${attempt}`;
    const what = wrong === 1 ? subject : `${wrong} ranges in a row, the last ${subject},`;
    const sentence = `${what} are not the plan's of epoch ${epoch}: the trainer did not draw what the snapshot says`;
    findings.push({ subject, step: null, epoch, value: wrong, rounds: wrong, sentence });
  }
  const last = ranges.length === 0 ? null : wrong;
  return { value: last, fired: wrong >= needed, findings };
}
