// counterweight diff: what differs between two snapshots of one dataset.

import type { SnapshotDiff as Diff } from '../../api/contract/diffs.ts';
import {
  type AddCommand,
  clientOf,
  percent,
  type ServiceOptions,
  table,
  withService,
} from './io.ts';

type Shares = Diff['groups'][number]['from'];
type Probabilities = Diff['largestMoves'][number]['from'];

export const diff: AddCommand = (program, io) => {
  withService(program.command('diff <from> <to>'))
    .description('what differs between two snapshots of one dataset')
    .action(async (from: string, to: string, options: ServiceOptions) => {
      const path = { a: from, b: to };
      const answer = await clientOf(io, options).ask('GET /v1/snapshots/{a}/diff/{b}', { path });
      io.out(options.json ? JSON.stringify(answer) : diffText(answer));
    });
};

/** A diff as a page of text. */
export function diffText(answer: Diff): string {
  const { from, to, effectiveFraction: fraction } = answer;
  return [
    sideText('from', from),
    sideText('to', to),
    '',
    `total variation of the draws ${answer.totalVariation.toFixed(4)}, effective fraction ${fraction.from.toFixed(3)} -> ${fraction.to.toFixed(3)}`,
    objectiveText(answer),
    `${countText(answer.addedCount, answer.added)} added, ${countText(answer.removedCount, answer.removed)} removed`,
    ...groupLines(answer.groups),
    ...moveLines(answer.largestMoves),
    ...(answer.rulesDiff === '' ? [] : ['', answer.rulesDiff.trimEnd()]),
  ].join('\n');
}

function sideText(name: string, side: Diff['from']): string {
  const { digest, version, split, fold, ruleSet, caseCount } = side;
  return `${name.padEnd(4)}  ${digest}  version ${version}, ${split} fold ${fold}, ${ruleSet}, ${caseCount} cases`;
}

function objectiveText({ objectiveChanged, objective }: Diff): string {
  if (!objectiveChanged) return 'the objective is the same';
  return `THE OBJECTIVE DIFFERS: target by ${objective.targetVariation.toFixed(4)}, effective target by ${objective.effectiveTargetVariation.toFixed(4)} (total variation)`;
}

// The number of cases with the first few of their ids.
function countText(count: number, ids: string[]): string {
  if (count === 0) return 'none';
  const more = count > 3 ? ', ...' : '';
  return `${count} (${ids.slice(0, 3).join(', ')}${more})`;
}

function groupLines(groups: Diff['groups']): string[] {
  if (groups.length === 0) return [];
  const change = (from: Shares, to: Shares, name: keyof NonNullable<Shares>) =>
    `${from === null ? '-' : percent(from[name])} -> ${to === null ? '-' : percent(to[name])}`;
  const rows = groups.map(({ attribute, value, from, to }) => [
    `${attribute}=${value}`,
    change(from, to, 'targetShare'),
    change(from, to, 'drawShare'),
    change(from, to, 'effectiveTargetShare'),
  ]);
  return ['', table([['group', 'target', 'draws', 'effective target'], ...rows])];
}

function moveLines(moves: Diff['largestMoves']): string[] {
  if (moves.length === 0) return [];
  const shown = (one: Probabilities) => (one === null ? '-' : one.drawProbability.toPrecision(3));
  const rows = moves.map(({ id, from, to, because }) => [id, shown(from), shown(to), because]);
  return ['', table([['moved most', 'from', 'to', 'because'], ...rows])];
}
