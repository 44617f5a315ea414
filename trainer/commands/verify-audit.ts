// counterweight verify audit: an export of the audit chain, heads that were kept elsewhere, and
// their signatures.

import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import canonicalize from 'canonicalize';
import type { Command } from 'commander';
import { exitCodes, failure } from '../client.ts';
import { checkChain, type KeptHead } from './audit-chain.ts';
import { replayAudit } from './audit-replay.ts';
import { readDocument, readJsonLines, readText } from './files.ts';
import type { Io } from './io.ts';

type Options = { head?: string; key?: string; anchor?: string; replay?: boolean; json?: boolean };

export function addAudit(group: Command, io: Io): void {
  group
    .command('audit <file>')
    .description('check the chain of an audit export')
    .option('--head <head>', 'kept elsewhere: the answer of /v1/audit/head in a file, or its hash')
    .option('--anchor <file>', 'kept elsewhere: the file of CW_AUDIT_ANCHOR')
    .option('--key <public>', 'also check signatures: PEM, base64 or the answer of /v1/audit/key')
    .option('--replay', 'print aliases, approvals and withdrawals as the entries tell them')
    .option('--json', 'answer JSON on stdout')
    .action((file: string, options: Options) => verifyAudit(io, file, options));
}

async function verifyAudit(io: Io, file: string, options: Options): Promise<void> {
  const kept = keptHeads(options);
  const key = options.key === undefined ? undefined : publicKeyOf(options.key);
  const state = options.replay ? replayAudit() : undefined;
  const found = await checkChain(fileLines(file), {
    kept: kept.filter(({ sequence }) => sequence > 0),
    entry: state?.take,
  });
  const { count, head, faults } = found;
  const unsigned = key === undefined ? [] : kept.flatMap((one) => signatureFault(one, key) ?? []);
  const last = isDigest(options.head) && options.head !== head;
  const details = [
    ...faults.map(({ detail }) => detail),
    ...unsigned,
    ...(last ? [`it ends with ${head}, not ${options.head}`] : []),
  ];
  const [fault = null] = details;
  if (options.json) {
    const shown = state === undefined ? {} : { state: state.state() };
    const ok = fault === null;
    io.out(JSON.stringify({ ok, fault, faults, signatures: unsigned, count, head, ...shown }));
  } else if (fault === null) {
    io.out(`${count} entries follow from each other; head ${head}`);
  } else {
    for (const detail of details) io.say(`does not hold: ${detail}`);
  }
  if (state !== undefined && !options.json) io.out(JSON.stringify(state.state(), null, 2));
  if (fault !== null) io.exitWith(exitCodes.failed);
}

const isDigest = (text: string | undefined) => /^sha256:[0-9a-f]{64}$/.test(text ?? '');

type SignedHead = KeptHead & { at: unknown; signature?: { value?: unknown } };

function keptHeads({ head, anchor, key }: Options): SignedHead[] {
  const one =
    head === undefined || isDigest(head) ? [] : [headOf(readDocument(head), `the head in ${head}`)];
  const more =
    anchor === undefined
      ? []
      : readJsonLines(anchor).map((line, k) => headOf(line, `line ${k + 1} of ${anchor}`));
  if (key !== undefined && one.length + more.length === 0) {
    throw failure(
      '--key checks signatures of heads: give --head FILE or --anchor FILE',
      exitCodes.usage,
    );
  }
  return [...one, ...more];
}

function headOf(value: unknown, source: string): SignedHead {
  const head = Object(value) as SignedHead;
  const { workspace, sequence, hash, at, signature } = head;
  if (typeof workspace === 'string' && Number.isInteger(sequence) && isDigest(hash)) {
    return { workspace, sequence, hash, at, signature, source };
  }
  throw failure(
    `${source} is no head of an audit chain: it needs workspace, sequence and hash as GET /v1/audit/head answers them`,
    exitCodes.usage,
  );
}

function publicKeyOf(given: string): KeyObject {
  const text = existsSync(given) ? readText(given) : given;
  try {
    if (text.includes('-----BEGIN')) return createPublicKey(text);
    const base64 = text.trim().startsWith('{') ? JSON.parse(text).publicKey : text;
    return createPublicKey({ key: Buffer.from(base64, 'base64'), format: 'der', type: 'spki' });
  } catch {
    throw failure(
      '--key is no public key: give the answer of GET /v1/audit/key in a file, PEM, or base64',
      exitCodes.usage,
    );
  }
}

function signatureFault(head: SignedHead, key: KeyObject): string | null {
  const { workspace, sequence, hash, at, signature, source } = head;
  if (typeof signature?.value !== 'string') return `${source} is not signed`;
  const text = canonicalize({ workspace, sequence, hash, at }) as string;
  const value = Buffer.from(signature.value, 'base64');
  if (verify(null, Buffer.from(text), key, value)) return null;
  return `${source} is not signed with this key, or was altered (entry ${sequence})`;
}

/** The lines of a file by the byte 10 alone, null for one that is no UTF-8. */
async function* fileLines(file: string): AsyncGenerator<string | null> {
  const input = createReadStream(file);
  try {
    await new Promise((opened, refused) => input.once('open', opened).once('error', refused));
  } catch (cause) {
    throw failure(`${file} cannot be read: ${(cause as Error).message}`, exitCodes.usage);
  }
  let rest: Buffer[] = [];
  for await (const chunk of input as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      yield decoded(Buffer.concat([...rest, chunk.subarray(from, at)]));
      rest = [];
      from = at + 1;
    }
    rest.push(chunk.subarray(from));
  }
  const last = Buffer.concat(rest);
  if (last.length > 0) yield decoded(last);
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decoded(line: Buffer): string | null {
  try {
    return strict.decode(line);
  } catch {
    return null;
  }
}
