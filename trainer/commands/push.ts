// counterweight push DIR|FILE: scan (or take scanned lines), create the dataset where it is
// missing, upload in parts, put the split, commit. Run again, it goes on with the open draft;
// parts are idempotent.

import { gzipSync } from 'node:zlib';
import { type Client, type Failure, failure } from '../client.ts';
import { fiveFolds } from '../nnunet-raw.ts';
import { type AddCommand, clientOf, type Io, type ServiceOptions, withService } from './io.ts';
import { progress } from './progress.ts';
import { type PushSource, readSource, type SourceOptions } from './push-source.ts';

type PushOptions = SourceOptions & { reason: string; split: string; discardDraft?: boolean };

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
  withService(program.command('push <source>'))
    .description('upload an nnU-Net raw folder, or lines of a scan, as a dataset version')
    .requiredOption('--reason <text>', 'why this version is made')
    .option('--dataset <name>', 'name of the dataset (else the name in dataset.json)')
    .option('--lines <file>', 'lines of an earlier scan of the folder, instead of scanning now')
    .option('--splits <file>', 'folds as in splits_final.json (else the folder has, or five made)')
    .option('--split <name>', 'name under which the folds are stored', 'five-fold')
    .option('--allow-faults', 'leave refused cases out instead of stopping')
    .option('--discard-draft', 'discard an open draft and start over')
    .action(async (source: string, options: PushOptions & ServiceOptions) => {
      const pushed = await pushFolder(io, clientOf(io, options), source, options);
      if (options.json) io.out(JSON.stringify(pushed));
      else
        io.say(
          `${pushed.dataset} version ${pushed.version}: ${pushed.caseCount} cases, ${pushed.folds} folds, ${pushed.digest}`,
        );
    });
};

/** Pushes a folder or a file of lines; throws a Failure that names what was refused. */
export async function pushFolder(
  io: Io,
  client: Client,
  source: string,
  options: PushOptions,
): Promise<Pushed> {
  const read = await readSource(io, source, options);
  const { name, lines } = read;
  await ensureDataset(client, read);
  const path = `/v1/datasets/${encodeURIComponent(name)}/versions`;
  const number = await openDraft(io, client, path, options);
  await uploadParts(io, client, `${path}/${number}/cases`, lines);
  const folds = read.folds ?? fiveFolds(read.ids);
  await client.call('PUT', `${path}/${number}/splits/${encodeURIComponent(options.split)}`, folds);
  const { digest, caseCount } = await client.create<{ digest: string; caseCount: number }>(
    `${path}/${number}/commit`,
    { reason: options.reason },
  );
  return {
    dataset: name,
    version: number,
    digest,
    caseCount,
    split: options.split,
    folds: folds.length,
  };
}

async function ensureDataset(
  client: Client,
  { name, attributes, labels, channels }: PushSource,
): Promise<void> {
  try {
    await client.call('GET', `/v1/datasets/${encodeURIComponent(name)}`);
  } catch (error) {
    if ((error as Failure).problem?.status !== 404) throw error;
    await client.create('/v1/datasets', { name, attributes, labels, channels });
  }
}

type VersionList = { items: { number: number; state: string }[] };

async function openDraft(
  io: Io,
  client: Client,
  path: string,
  { reason, discardDraft }: PushOptions,
): Promise<number> {
  const { items } = await client.call<VersionList>('GET', `${path}?limit=1`);
  const [newest] = items;
  if (newest?.state === 'draft') {
    if (!discardDraft) {
      io.say(`going on with version ${newest.number}, a draft`);
      return newest.number;
    }
    await client.send('DELETE', `${path}/${newest.number}`);
  }
  return (await client.create<{ number: number }>(path, { reason })).number;
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
    await sendPart(client, path, { body, headers });
    bar.update(Math.min(from + partLines, lines.length));
  }
  bar.stop();
}

async function sendPart(
  client: Client,
  path: string,
  part: { body: Uint8Array; headers: Record<string, string> },
) {
  try {
    await client.send('POST', path, part);
  } catch (error) {
    const { message, exitCode, problem } = error as Failure;
    if (problem?.status !== 409) throw error;
    throw failure(
      `${message}\nThe open draft was begun with other lines. Start over with --discard-draft, if nobody else is filling it.`,
      exitCode,
      problem,
    );
  }
}
