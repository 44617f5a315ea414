// counterweight verify: what can be checked without trusting the service.

import { type Command, InvalidArgumentError } from 'commander';
import type { Job, LedgerEpoch } from '../../api/contract/jobs.ts';
import { type SnapshotDocument, snapshotDocumentSchema } from '../../api/contract/trainer.ts';
import { type Client, exitCodes, failure } from '../client.ts';
import {
  type EpochOfDraws,
  type LedgerVerdict,
  ledgerVerdict,
  readSnapshotFile,
  replay,
  snapshotFault,
} from './exports.ts';
import { type AddCommand, clientOf, type Io, type ServiceOptions, withService } from './io.ts';
import { verifySnapshotFile } from './snapshot-file.ts';
import { addAudit } from './verify-audit.ts';
import { wholeOf } from './what-if.ts';

export const verify: AddCommand = (program, io) => {
  const group = program.command('verify').description('check exports without the service');
  addSnapshot(group, io);
  addDraws(group, io);
  addAudit(group, io);
};

function addSnapshot(group: Command, io: Io): void {
  group
    .command('snapshot <file>')
    .description('recompute the digest of an exported snapshot')
    .option('--header <file>', 'FILE holds lines (.ndjson, .csv, .tsv); the JSON with its digest')
    .option('--json', 'answer JSON on stdout')
    .action(async (file: string, { header, json }: { header?: string; json?: boolean }) => {
      const found = await verifySnapshotFile(file, header);
      const { digest, caseCount, scoresChecked } = found;
      const scores = scoresChecked ? '' : '; its scores are not checked';
      const text = `${digest} holds: ${caseCount} cases${scores}`;
      settle(io, { ok: found.fault === null, ...found }, json, text);
    });
}

type DrawsOptions = ServiceOptions & {
  header?: string;
  ledger?: string;
  job?: string;
  seed?: number;
  epoch?: number;
  draws?: number;
};

function addDraws(group: Command, io: Io): void {
  withService(group.command('draws [file]'))
    .description("replay draws: one epoch from an exported snapshot, or a whole job's ledger")
    .option('--header <file>', 'FILE holds NDJSON lines; the JSON with digest and header')
    .option('--job <id>', 'compare every epoch that this job reported; FILE may be left out')
    .option('--seed <number>', 'without --job: seed of the job', wholeOf)
    .option('--epoch <number>', 'without --job: epoch from 0', wholeOf)
    .option('--draws <number>', 'without --job: draws per epoch', wholeOf)
    .option('--ledger <digest>', 'the digest that a trainer reported', digestOf)
    .action(async (file: string | undefined, options: DrawsOptions) => {
      if (options.job !== undefined) return await verifyJob(io, file, options);
      const { seed, epoch, draws } = options;
      if (file === undefined || [seed, epoch, draws].includes(undefined)) {
        throw failure(
          'give --job ID, or an exported snapshot with --seed, --epoch and --draws',
          exitCodes.usage,
        );
      }
      verifyEpoch(io, soundSnapshot(file, options.header), { seed, epoch, draws } as EpochOfDraws, {
        reported: options.ledger,
        json: options.json,
      });
    });
}

function digestOf(text: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  throw new InvalidArgumentError('a digest is sha256: and 64 hex digits');
}

function soundSnapshot(file: string, header?: string): SnapshotDocument {
  const document = readSnapshotFile(file, header);
  const fault = snapshotFault(document);
  if (fault !== null) throw failure(`the snapshot itself does not hold: ${fault}`);
  return document;
}

function verifyEpoch(
  io: Io,
  document: SnapshotDocument,
  asked: EpochOfDraws,
  { reported, json }: { reported?: string; json?: boolean },
): void {
  const { ids, ledger } = replay(document, asked);
  const fault =
    reported === undefined || reported === ledger
      ? null
      : `the draws give ${ledger}, the trainer reported ${reported}`;
  settle(io, { ok: fault === null, fault, ledger, ids }, json, `${ledger}\n${ids.join('\n')}`);
}

async function verifyJob(io: Io, file: string | undefined, options: DrawsOptions): Promise<void> {
  const client = clientOf(io, options);
  const job = await client.call<Job>(
    'GET',
    `/v1/jobs/${encodeURIComponent(options.job as string)}`,
  );
  const known = file === undefined ? [] : [soundSnapshot(file, options.header)];
  const { replayed, inParts, faults } = await verifyLedger(client, job, known);
  const fault = faults.length === 0 ? null : faults.join('; ');
  const parts = inParts === 0 ? '' : `; ${inParts} were reported in parts`;
  const text = `job ${job.id}: ${replayed} epochs replayed here are the reported ones${parts}`;
  settle(io, { ok: fault === null, fault, replayed, inParts }, options.json, text);
}

/** Replays every epoch that a job reported; fetches the snapshots that are not known yet. */
export async function verifyLedger(
  client: Client,
  { id, seed, settings: { epochs } }: Pick<Job, 'id' | 'seed' | 'settings'>,
  known: SnapshotDocument[] = [],
): Promise<LedgerVerdict> {
  const path = `/v1/jobs/${encodeURIComponent(id)}/ledger`;
  const { items } = await client.call<{ items: LedgerEpoch[] }>('GET', path);
  const documents = new Map(known.map((document) => [document.digest, document]));
  for (const { snapshot } of items) {
    if (!documents.has(snapshot)) documents.set(snapshot, await fetchSnapshot(client, snapshot));
  }
  return ledgerVerdict({ seed, epochs }, items, documents);
}

async function fetchSnapshot(client: Client, digest: string): Promise<SnapshotDocument> {
  const headers = { accept: 'application/json' };
  const response = await client.send('GET', `/v1/snapshots/${digest}/cases`, { headers });
  const { data, error } = snapshotDocumentSchema.safeParse(await response.json());
  const fault =
    data === undefined
      ? `${error?.issues[0].path.join('.')}: ${error?.issues[0].message}`
      : data.digest === digest
        ? snapshotFault(data)
        : 'it is another one';
  if (data === undefined || fault !== null)
    throw failure(`snapshot ${digest} does not hold: ${fault}`);
  return data;
}

function settle(
  io: Io,
  verdict: { ok: boolean; fault: string | null; [figure: string]: unknown },
  json: boolean | undefined,
  text: string,
): void {
  if (json) io.out(JSON.stringify(verdict));
  else if (verdict.ok) io.out(text);
  else io.say(`does not hold: ${verdict.fault}`);
  if (!verdict.ok) io.exitWith(exitCodes.failed);
}
