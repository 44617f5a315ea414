// counterweight verify: what can be checked without trusting the service.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { SnapshotHeader } from '../../api/contract/snapshots.ts';
import { compareIds, runningDigest } from '../../api/weights/digest.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';
import { exitCodes, failure } from '../client.ts';
import type { AddCommand, Io } from './io.ts';
import { readDocument } from './rules.ts';
import { wholeOf } from './what-if.ts';

export type SnapshotFile = {
  digest: string;
  header: SnapshotHeader;
  cases: { id: string; targetUnits: string; drawUnits: string; lossFactor: number }[];
};

/** What is wrong with an exported snapshot, or null. */
export function snapshotFault({ digest, header, cases }: SnapshotFile): string | null {
  for (const units of ['targetUnits', 'drawUnits'] as const) {
    const sum = cases.reduce((total, one) => total + BigInt(one[units]), 0n);
    if (sum !== 2n ** 52n) return `${units} sum to ${sum}, not 2^52`;
  }
  if (header.caseCount !== cases.length)
    return `the header says ${header.caseCount} cases, the file has ${cases.length}`;
  const running = runningDigest(header);
  for (const [k, { id, targetUnits, drawUnits, lossFactor }] of cases.entries()) {
    if (k > 0 && compareIds(cases[k - 1].id, id) >= 0) return `case "${id}" is not in id order`;
    running.add(id, targetUnits, drawUnits, lossFactor);
  }
  return running.digest() === digest
    ? null
    : `the digest of the cases is ${running.digest()}, not ${digest}`;
}

/** What is wrong with an audit export, or null; entries and the head it ends with. */
export async function auditFault(
  lines: AsyncIterable<string>,
): Promise<{ fault: string | null; count: number; head: string }> {
  let head = `sha256:${'0'.repeat(64)}`;
  let count = 0;
  for await (const text of lines) {
    if (text.trim() === '') continue;
    const entry = JSON.parse(text) as {
      sequence: number;
      previousHash: string;
      hash: string;
      text: string;
    };
    const hash = `sha256:${createHash('sha256').update(`${entry.previousHash}\n${entry.text}`).digest('hex')}`;
    const inside = (JSON.parse(entry.text) as { sequence: number }).sequence;
    if (entry.sequence !== count + 1 || inside !== entry.sequence)
      return { fault: `entry ${count + 1} is missing or out of order`, count, head };
    if (entry.previousHash !== head)
      return {
        fault: `entry ${entry.sequence} does not follow from the one before it`,
        count,
        head,
      };
    if (entry.hash !== hash)
      return { fault: `the text of entry ${entry.sequence} was altered`, count, head };
    head = hash;
    count++;
  }
  return { fault: null, count, head };
}

export const verify: AddCommand = (program, io) => {
  const group = program.command('verify').description('check an export offline');
  group
    .command('snapshot <file>')
    .description('recompute the digest of an exported snapshot')
    .option('--json', 'answer JSON on stdout')
    .action((file: string, { json }: { json?: boolean }) => {
      const document = readDocument(file) as SnapshotFile;
      const fault = snapshotFault(document);
      settle(
        io,
        { ok: fault === null, fault, digest: document.digest },
        json,
        `${document.digest} holds: ${document.cases.length} cases`,
      );
    });
  group
    .command('draws <file>')
    .description("replay an epoch's draws from an exported snapshot")
    .requiredOption('--seed <number>', 'seed of the job', wholeOf)
    .requiredOption('--epoch <number>', 'epoch from 0', wholeOf)
    .requiredOption('--draws <number>', 'draws per epoch', wholeOf)
    .option('--ledger <digest>', 'the digest that a trainer reported')
    .option('--json', 'answer JSON on stdout')
    .action(
      (
        file: string,
        options: { seed: number; epoch: number; draws: number; ledger?: string; json?: boolean },
      ) => {
        const { ids, ledger } = replay(readDocument(file) as SnapshotFile, options);
        const fault =
          options.ledger === undefined || options.ledger === ledger
            ? null
            : `the draws give ${ledger}, the trainer reported ${options.ledger}`;
        settle(
          io,
          { ok: fault === null, fault, ledger, ids },
          options.json,
          `${ledger}\n${ids.join('\n')}`,
        );
      },
    );
  group
    .command('audit <file>')
    .description('check the chain of an audit export')
    .option('--json', 'answer JSON on stdout')
    .action(async (file: string, { json }: { json?: boolean }) => {
      const { fault, count, head } = await auditFault(
        createInterface({ input: createReadStream(file) }),
      );
      settle(
        io,
        { ok: fault === null, fault, count, head },
        json,
        `${count} entries follow from each other; head ${head}`,
      );
    });
};

/** The draws of an epoch from an exported snapshot, and their ledger digest. */
export function replay(
  document: SnapshotFile,
  { seed, epoch, draws }: { seed: number; epoch: number; draws: number },
): { ids: string[]; ledger: string } {
  const fault = snapshotFault(document);
  if (fault !== null) throw failure(`the snapshot itself does not hold: ${fault}`);
  const drawUnits = Float64Array.from(document.cases, (one) => Number(one.drawUnits));
  const plan = drawPlan({ digest: document.digest, drawUnits, seed, epoch, drawsPerEpoch: draws });
  const ids = Array.from(plan, (place) => document.cases[place].id);
  return { ids, ledger: ledgerDigest(ids) };
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
