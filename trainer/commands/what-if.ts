// counterweight what-if: everything a snapshot would say; nothing is stored.

import { InvalidArgumentError } from 'commander';
import { readDocument } from './files.ts';
import {
  type AddCommand,
  clientOf,
  percent,
  type ServiceOptions,
  table,
  withService,
} from './io.ts';

export type Fold = number | 'all';

export function foldOf(text: string): Fold {
  if (text === 'all') return 'all';
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('a fold is a number from 0, or "all"');
}

/** Folds from the command line, as 0,1,2. */
export function foldsOf(text: string): Fold[] {
  return text.split(',').map((one) => foldOf(one.trim()));
}

export function wholeOf(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('a whole number is needed');
}

type Options = ServiceOptions & {
  dataset: string;
  version: number;
  split: string;
  fold: Fold;
  rules?: string;
  ruleSet?: string;
};

export type WhatIf = {
  diagnostics: {
    caseCount: number;
    effectiveFraction: number;
    objectiveShift: number;
    maxLossFactor: number;
    atFloor: number;
    atCap: number;
    groups: {
      attribute: string;
      value: string;
      caseCount: number;
      targetShare: number;
      drawShare: number;
      effectiveTargetShare: number;
    }[];
    largest: { id: string; ratio: number }[];
  };
  excluded: { id: string; reason: string }[];
  /** What will become of the draws during a run. */
  changes: string[];
};

export const whatIf: AddCommand = (program, io) => {
  withService(program.command('what-if'))
    .description('everything a snapshot would say; nothing is stored')
    .requiredOption('--dataset <name>', 'the dataset')
    .requiredOption('--version <number>', 'its version', wholeOf)
    .option('--split <name>', 'the split', 'five-fold')
    .requiredOption('--fold <fold>', 'fold number, or all', foldOf)
    .option('--rules <file>', 'a rule document')
    .option('--rule-set <name@version>', 'a stored rule set')
    .action(async (options: Options) => {
      const { version, split, fold, ruleSet } = options;
      const rules = options.rules === undefined ? {} : { rules: readDocument(options.rules) };
      const body = {
        version,
        split,
        fold,
        ...rules,
        ...(ruleSet === undefined ? {} : { ruleSet }),
      };
      const path = `/v1/datasets/${encodeURIComponent(options.dataset)}/what-if`;
      const answer = await clientOf(io, options).call<WhatIf>('POST', path, body);
      io.out(options.json ? JSON.stringify(answer) : whatIfText(answer));
    });
};

/** Diagnostics as a page of text. */
export function whatIfText({
  diagnostics: d,
  excluded,
  changes = [],
}: Omit<WhatIf, 'changes'> & { changes?: string[] }): string {
  const groups = d.groups.map((group) => [
    `${group.attribute}=${group.value}`,
    String(group.caseCount),
    percent(group.targetShare),
    percent(group.drawShare),
    percent(group.effectiveTargetShare),
  ]);
  return [
    `${d.caseCount} cases, ${excluded.length} excluded`,
    `effective fraction ${d.effectiveFraction.toFixed(3)}, objective shift ${d.objectiveShift.toFixed(4)}, largest loss factor ${d.maxLossFactor.toFixed(2)}`,
    `${d.atFloor} at the floor, ${d.atCap} at the cap`,
    ...changes,
    ...(groups.length === 0
      ? []
      : ['', table([['group', 'cases', 'target', 'draws', 'effective target'], ...groups])]),
    '',
    table([
      ['drawn most', 'times its target'],
      ...d.largest.slice(0, 5).map(({ id, ratio }) => [id, ratio.toFixed(2)]),
    ]),
  ].join('\n');
}
