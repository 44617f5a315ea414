// counterweight push DIR: scan (or take scanned lines), create the dataset where it is missing,
// upload in parts, put the split, commit. Run again, it goes on with the open draft; parts are
// idempotent.

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { type Client, exitCodes, type Failure, failure } from '../client.ts';
import { fiveFolds, type RawDataset } from '../nnunet-raw.ts';
import type { CaseLine } from '../scan/measure.ts';
import { scanDataset } from '../scan/scan.ts';
import {
  type AddCommand,
  clientOf,
  type Io,
  progress,
  type ServiceOptions,
  withService,
} from './io.ts';

type PushOptions = ServiceOptions & {
  dataset?: string;
  reason: string;
  lines?: string;
  split: string;
  allowFaults?: boolean;
};

const partLines = 5_000;

export type Pushed = {
  dataset: string;
  version: number;
  digest: string;
  caseCount: number;
  split: string;
  folds: number;
};

export const push: AddCommand = (program, io) => {
  withService(program.command('push <dir>'))
    .description('upload the cases of an nnU-Net raw folder as a committed dataset version')
    .requiredOption('--reason <text>', 'why this version is made')
    .option('--dataset <name>', 'name of the dataset (else the name in dataset.json)')
    .option('--lines <file>', 'lines of an earlier scan, instead of scanning now')
    .option('--split <name>', 'name under which the folds are stored', 'five-fold')
    .option('--allow-faults', 'leave refused cases out instead of stopping')
    .action(async (dir: string, options: PushOptions) => {
      const pushed = await pushFolder(io, clientOf(io, options), dir, options);
      if (options.json) io.out(JSON.stringify(pushed));
      else
        io.say(
          `${pushed.dataset} version ${pushed.version}: ${pushed.caseCount} cases, ${pushed.folds} folds, ${pushed.digest}`,
        );
    });
};

/** Pushes a folder; throws a Failure that names what was refused. */
export async function pushFolder(
  io: Io,
  client: Client,
  dir: string,
  options: Omit<PushOptions, 'json'>,
): Promise<Pushed> {
  const { raw, attributes, cases, caseCount } = scanDataset(dir);
  const name = options.dataset ?? raw.name;
  await ensureDataset(client, { name, attributes, labels: raw.labels, channels: raw.channels });
  const lines =
    options.lines === undefined
      ? await scannedLines(io, cases, { caseCount, allowFaults: options.allowFaults === true })
      : readFileSync(options.lines, 'utf8').trimEnd().split('\n');
  const path = `/v1/datasets/${encodeURIComponent(name)}/versions`;
  const number = await openDraft(client, path, options.reason);
  await uploadParts(io, client, `${path}/${number}/cases`, lines);
  const folds = foldsFor(
    raw,
    lines.map((line) => (JSON.parse(line) as CaseLine).id),
  );
  await client.call('PUT', `${path}/${number}/splits/${options.split}`, folds);
  const reason = { reason: options.reason };
  const version = await client.call<{ digest: string; caseCount: number }>(
    'POST',
    `${path}/${number}/commit`,
    reason,
  );
  const { digest, caseCount: stored } = version;
  return {
    dataset: name,
    version: number,
    digest,
    caseCount: stored,
    split: options.split,
    folds: folds.length,
  };
}

// Folds name only cases that were uploaded: a refused case must not stop its whole fold.
function foldsFor({ splits }: RawDataset, ids: string[]): { train: string[]; val: string[] }[] {
  if (splits === null) return fiveFolds(ids);
  return splits.map(({ train, val }) => ({ train: [...train], val: [...val] }));
}

async function ensureDataset(
  client: Client,
  body: { name: string; attributes: object; labels: object; channels: object },
): Promise<void> {
  try {
    await client.call('GET', `/v1/datasets/${encodeURIComponent(body.name)}`);
  } catch (error) {
    if ((error as Failure).problem?.status !== 404) throw error;
    await client.call('POST', '/v1/datasets', body);
  }
}

async function scannedLines(
  io: Io,
  cases: ReturnType<typeof scanDataset>['cases'],
  { caseCount, allowFaults }: { caseCount: number; allowFaults: boolean },
): Promise<string[]> {
  const bar = progress(io, 'scan', caseCount);
  const lines: string[] = [];
  const faults: string[] = [];
  for await (const scanned of cases) {
    if ('line' in scanned) lines.push(JSON.stringify(scanned.line));
    else faults.push(`${scanned.fault.id}: ${scanned.fault.detail}`);
    bar.update(lines.length + faults.length);
  }
  bar.stop();
  if (faults.length > 0 && !allowFaults) {
    throw failure(
      `${faults.length} cases were refused and nothing was uploaded. Mend them, or leave them out with --allow-faults:\n  ${faults.join('\n  ')}`,
      exitCodes.failed,
    );
  }
  for (const fault of faults) io.say(`left out: ${fault}`);
  return lines;
}

type VersionList = { items: { number: number; state: string }[] };

async function openDraft(client: Client, path: string, reason: string): Promise<number> {
  const { items } = await client.call<VersionList>('GET', `${path}?limit=1`);
  if (items[0]?.state === 'draft') return items[0].number;
  return (await client.call<{ number: number }>('POST', path, { reason })).number;
}

async function uploadParts(io: Io, client: Client, path: string, lines: string[]): Promise<void> {
  const bar = progress(io, 'upload', lines.length);
  for (let from = 0, part = 1; from < lines.length; from += partLines, part++) {
    const body = gzipSync(
      lines
        .slice(from, from + partLines)
        .map((line) => `${line}\n`)
        .join(''),
    );
    const headers = {
      'content-type': 'application/x-ndjson',
      'content-encoding': 'gzip',
      'upload-part': String(part),
    };
    await client.send('POST', path, { body, headers });
    bar.update(Math.min(from + partLines, lines.length));
  }
  bar.stop();
}
