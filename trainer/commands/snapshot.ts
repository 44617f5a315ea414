// counterweight snapshot: freeze one, or export one for offline use.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Client, exitCodes, failure } from '../client.ts';
import { openOutput } from './files.ts';
import { type AddCommand, clientOf, percent, type ServiceOptions, withService } from './io.ts';
import { type Fold, foldOf, foldsOf, whatIfText, wholeOf } from './what-if.ts';

type Options = ServiceOptions & {
  dataset: string;
  version: number;
  split: string;
  fold?: Fold;
  folds?: Fold[];
  ruleSet: string;
  reason: string;
  acceptLowEffective?: boolean;
  export?: string;
};

export type FrozenSnapshot = {
  id: string;
  digest: string;
  header: object;
  diagnostics: Parameters<typeof whatIfText>[0]['diagnostics'];
  excluded: { id: string; reason: string }[];
};

export const snapshot: AddCommand = (program, io) => {
  withService(program.command('snapshot'))
    .description('freeze a snapshot; the same inputs give the same one')
    .requiredOption('--dataset <name>', 'the dataset')
    .requiredOption('--version <number>', 'its version', wholeOf)
    .option('--split <name>', 'the split', 'five-fold')
    .option('--fold <fold>', 'fold number, or all', foldOf)
    .option('--folds <list>', 'several folds, all or none, as 0,1,2', foldsOf)
    .requiredOption('--rule-set <name@version>', 'the rule set')
    .requiredOption('--reason <text>', 'why')
    .option('--accept-low-effective', 'freeze although the effective fraction is low')
    .option('--export <file>', 'write the snapshot with its cases as JSON')
    .action(async (options: Options) => {
      const { dataset, version, split, fold, folds, ruleSet, reason, acceptLowEffective } = options;
      requireOneOf(options);
      const client = clientOf(io, options);
      const path = `/v1/datasets/${encodeURIComponent(dataset)}/snapshots`;
      const body = { version, split, fold, folds, ruleSet, reason, acceptLowEffective };
      if (folds !== undefined) {
        const frozen = await client.create<{ items: FrozenSnapshot[] }>(path, body);
        return io.out(options.json ? JSON.stringify(frozen) : foldsText(frozen.items));
      }
      const frozen = await client.create<FrozenSnapshot>(path, body);
      if (options.export !== undefined) await exportSnapshot(client, frozen.digest, options.export);
      io.out(options.json ? JSON.stringify(frozen) : `${frozen.digest}\n${whatIfText(frozen)}`);
    });
};

function requireOneOf({ fold, folds, export: file }: Options): void {
  if ((fold === undefined) === (folds === undefined)) {
    throw failure('give either --fold or --folds', exitCodes.usage);
  }
  if (folds !== undefined && file !== undefined) {
    throw failure('--export writes one fold: give it with --fold', exitCodes.usage);
  }
}

/** A line for each fold: what `alias set` takes, and how much the fold keeps of its cases. */
export function foldsText(items: FrozenSnapshot[]): string {
  return items
    .map(({ digest, header, diagnostics: { caseCount, effectiveFraction } }) => {
      const { fold } = header as { fold: Fold };
      return `${fold}=${digest}  ${caseCount} cases, effective ${percent(effectiveFraction)}`;
    })
    .join('\n');
}

/** Writes `{digest, header, cases}` to a file, streamed. */
export async function exportSnapshot(client: Client, digest: string, file: string): Promise<void> {
  const output = openOutput(file);
  const response = await client.send('GET', `/v1/snapshots/${digest}/cases`, {
    headers: { accept: 'application/json' },
  });
  await pipeline(Readable.fromWeb(response.body as never), output);
}
