// counterweight alias set|show: which snapshots a name of a dataset stands for.

import type { Alias } from '../../api/contract/aliases.ts';
import { exitCodes, failure } from '../client.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';
import { wholeOf } from './what-if.ts';

type SetOptions = ServiceOptions & {
  reason: string;
  protect?: boolean;
  unprotect?: boolean;
  expected?: number;
};

const pathOf = (dataset: string, alias = '') =>
  `/v1/datasets/${encodeURIComponent(dataset)}/aliases${alias && `/${encodeURIComponent(alias)}`}`;

export const alias: AddCommand = (program, io) => {
  const group = program.command('alias').description('names for a snapshot per fold');
  withService(group.command('set <dataset> <alias> <fold=snapshot...>'))
    .description('put an alias on one snapshot per fold, as 0=sha256:... 1=sha256:...')
    .requiredOption('--reason <text>', 'why')
    .option('--protect', 'from now on it moves only onto what somebody else approved')
    .option('--unprotect', 'no longer')
    .option('--expected <number>', 'refuse unless it stands at this move; 0: it is new', wholeOf)
    .action(async (dataset: string, name: string, folds: string[], options: SetOptions) => {
      const { reason, protect, unprotect, expected } = options;
      if (protect && unprotect) {
        throw failure('give either --protect or --unprotect', exitCodes.usage);
      }
      const guarded = protect ? true : unprotect ? false : undefined;
      const body = { snapshots: snapshotsOf(folds), reason, protected: guarded, expected };
      const answer = await clientOf(io, options).call<Alias>('PUT', pathOf(dataset, name), body);
      io.out(options.json ? JSON.stringify(answer) : aliasText(answer));
    });
  withService(group.command('show <dataset> [alias]'))
    .description('where an alias stands and every move of it; without a name, all of them')
    .action(async (dataset: string, name: string | undefined, options: ServiceOptions) => {
      const client = clientOf(io, options);
      if (name !== undefined) {
        const answer = await client.call<Alias>('GET', pathOf(dataset, name));
        return io.out(options.json ? JSON.stringify(answer) : aliasText(answer));
      }
      const path = { dataset };
      const items = await client.askAll('GET /v1/datasets/{dataset}/aliases', { path });
      if (options.json) return io.out(JSON.stringify({ items }));
      for (const one of items) io.out(aliasText(one));
      if (items.length === 0) io.say(`dataset ${dataset} has no alias`);
    });
};

/** Fold to snapshot, from FOLD=SNAPSHOT each; a usage failure for anything else. */
export function snapshotsOf(folds: string[]): Record<string, string> {
  const parts = folds.map((text) => /^(\d+|all)=(.+)$/.exec(text));
  const wrong = folds.find((_, place) => parts[place] === null);
  if (wrong !== undefined) {
    throw failure(
      `"${wrong}" is no FOLD=SNAPSHOT; give one for each fold, as 0=sha256:...`,
      exitCodes.usage,
    );
  }
  const named = parts.map((part) => [part?.[1], part?.[2]] as [string, string]);
  if (new Set(named.map(([fold]) => fold)).size < named.length) {
    throw failure('a fold is named twice', exitCodes.usage);
  }
  return Object.fromEntries(named);
}

/** An alias as a page of text: where it stands, then its moves, the newest first. */
export function aliasText(answer: Alias): string {
  const { dataset, name, number, snapshots, withdrawn, history } = answer;
  const guarded = answer.protected ? ', protected' : '';
  const gone =
    withdrawn.length === 0 ? [] : [`withdrawn cases in its snapshots: ${withdrawn.join(', ')}`];
  const stands = Object.entries(snapshots).map(([fold, { digest }]) => [fold, digest]);
  const moves = history
    .toReversed()
    .map((move) => [
      String(move.number),
      move.createdAt,
      move.createdBy,
      Object.keys(move.snapshots).join(' '),
      String(move.approvals.length),
      move.reason,
    ]);
  return [
    `${dataset}@${name}, move ${number}${guarded}`,
    ...gone,
    table([['fold', 'snapshot'], ...stands]),
    '',
    table([['move', 'at', 'by', 'folds', 'approvals', 'reason'], ...moves]),
  ].join('\n');
}
