// The step's summary, which is the comment on a pull request too: how each fold ended, Dice per
// group, what changed in the draws, and where to look.

import type { SnapshotDiff } from '../../api/contract/diffs.ts';
import type { Job } from '../../api/contract/jobs.ts';
import type { Fold } from './comparison.ts';
import { stateText } from './follow.ts';
import type { FoldRequest } from './launch.ts';
import { block, code, folded, shown, table } from './markdown.ts';
import { type Dice, diceOf, groupsOf, meanDice } from './results.ts';

export type Told = {
  /** How it ended, in a word. */
  state: string;
  /** Sentences under the heading: gates not met, why nothing was launched. */
  notes: string[];
  jobs: readonly Job[];
  folds: readonly Fold[];
  requests: readonly FoldRequest[];
  api: string;
  runUrl: string;
};

const mostRows = 40;
const mostMoves = 10;

/** The whole of it as Markdown. */
export function summaryOf(told: Told): string {
  const { state, notes, jobs, folds, requests, api, runUrl } = told;
  return [
    `## Counterweight: ${state}`,
    '',
    ...notes.flatMap((note) => [`> ${shown(note)}`, '']),
    ...overview(jobs, folds, api),
    ...diceOfFolds(jobs),
    ...folds.flatMap((fold) => changes(fold, folds.length)),
    ...requests.flatMap(({ fold, request }) =>
      folded(
        fold === null ? 'Native request' : `Native request of fold ${shown(fold)}`,
        block('json', JSON.stringify(request, null, 2)),
      ),
    ),
    `<sub>${shown(api)} · <a href="${runUrl}">run</a></sub>`,
    '',
  ].join('\n');
}

const figure = (value: number | null | undefined) =>
  typeof value === 'number' ? value.toFixed(4) : '-';
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

function overview(jobs: readonly Job[], folds: readonly Fold[], api: string): string[] {
  if (jobs.length === 0) {
    const rows = folds.map(({ fold, snapshot }) => [
      shown(fold),
      code(snapshot.digest),
      percent(snapshot.diagnostics.effectiveFraction),
    ]);
    return rows.length === 0 ? [] : table(['fold', 'snapshot', 'effective fraction'], rows);
  }
  const rows = jobs.map((job) => {
    const one = folds.find(({ snapshot }) => snapshot.digest === job.snapshot.digest);
    const { verified, partial, mismatch } = job.verifiedDraws;
    return [
      shown(String(job.snapshot.fold)),
      `<a href="${api}/v1/jobs/${encodeURIComponent(job.id)}">${code(job.id)}</a>`,
      shown(stateText(job)),
      figure(diceOf(job).mean),
      `${verified} verified, ${partial} partial, ${mismatch === 0 ? '0' : `**${mismatch}**`} mismatch`,
      one === undefined ? '-' : percent(one.snapshot.diagnostics.effectiveFraction),
      code(job.snapshot.digest),
    ];
  });
  const heading = [
    'fold',
    'job',
    'state',
    'mean Dice',
    'epochs of draws',
    'effective fraction',
    'snapshot',
  ];
  return table(heading, rows);
}

function diceOfFolds(jobs: readonly Job[]): string[] {
  const measured = jobs.filter((job) => Object.keys(diceOf(job)).length > 0);
  const several = jobs.length > 1;
  return [
    ...measured.flatMap((job) => [
      `### Dice${several ? `, fold ${shown(String(job.snapshot.fold))}` : ''}`,
      '',
      ...diceTable([['all', diceOf(job)], ...Object.entries(groupsOf(job))]),
    ]),
    ...(several && measured.length > 1
      ? ['### Dice, mean over the folds', '', ...diceTable([['all', meanDice(jobs.map(diceOf))]])]
      : []),
  ];
}

function diceTable(rows: [string, Dice][]): string[] {
  const classes = [...new Set(rows.flatMap(([, dice]) => Object.keys(dice)))];
  const names = [...classes.filter((name) => name !== 'mean'), 'mean'];
  const cells = rows
    .slice(0, mostRows)
    .map(([group, dice]) => [shown(group), ...names.map((name) => figure(dice[name]))]);
  return [...table(['group', ...names.map(shown)], cells), ...more(rows.length, mostRows)];
}

const more = (count: number, most: number) =>
  count > most ? [`... and ${count - most} more`, ''] : [];

function changes({ fold, snapshot, comparison }: Fold, count: number): string[] {
  const title = `### What changed in the draws${count > 1 ? `, fold ${shown(fold)}` : ''}`;
  if ('note' in comparison) return [title, '', shown(comparison.note), ''];
  const { diff, against } = comparison;
  const { from, to } = diff.effectiveFraction;
  return [
    title,
    '',
    `${code(snapshot.ruleSet)} on version ${snapshot.version}, against ${shown(against)} (${code(diff.from.ruleSet)} on version ${diff.from.version}).`,
    '',
    objective(diff),
    '',
    `Total variation of the draws ${diff.totalVariation.toFixed(4)}; effective fraction ${percent(from)} → ${percent(to)}; ${diff.addedCount} cases added, ${diff.removedCount} removed.`,
    '',
    ...groupTable(diff),
    ...moveTable(diff),
    ...(diff.rulesDiff === ''
      ? []
      : folded('Changes of the rules', block('diff', diff.rulesDiff.trimEnd()))),
  ];
}

function objective({ objectiveChanged, objective: by }: SnapshotDiff): string {
  if (!objectiveChanged) return 'The objective is the same.';
  return `**The objective differs**: target by ${by.targetVariation.toFixed(4)}, effective target by ${by.effectiveTargetVariation.toFixed(4)} (total variation).`;
}

function groupTable({ groups }: SnapshotDiff): string[] {
  if (groups.length === 0) return [];
  const change = (
    { from, to }: SnapshotDiff['groups'][number],
    name: 'targetShare' | 'drawShare' | 'effectiveTargetShare',
  ) => `${from === null ? '-' : percent(from[name])} → ${to === null ? '-' : percent(to[name])}`;
  const rows = groups
    .slice(0, mostRows)
    .map((one) => [
      shown(`${one.attribute}=${one.value}`),
      change(one, 'targetShare'),
      change(one, 'drawShare'),
      change(one, 'effectiveTargetShare'),
    ]);
  const heading = ['group', 'target', 'draws', 'effective target'];
  return [...table(heading, rows), ...more(groups.length, mostRows)];
}

function moveTable({ largestMoves }: SnapshotDiff): string[] {
  if (largestMoves.length === 0) return [];
  const drawn = (side: SnapshotDiff['largestMoves'][number]['from']) =>
    side === null ? '-' : side.drawProbability.toPrecision(3);
  const rows = largestMoves
    .slice(0, mostMoves)
    .map(({ id, from, to, because }) => [code(id), drawn(from), drawn(to), shown(because)]);
  const heading = ['case', 'drawn before', 'drawn now', 'because'];
  return folded('Cases that moved most', table(heading, rows));
}
