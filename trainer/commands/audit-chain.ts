// An audit export checked without the service: every line that was altered, removed, inserted or
// moved is named by its sequence; with heads that were kept elsewhere, an end that was cut off too.

import { createHash } from 'node:crypto';

/** What does not hold; `sequence` of the entry concerned, `line` of the file from 1. */
export type ChainFault = { sequence: number; line: number; detail: string };

/** A head that was kept elsewhere. */
export type KeptHead = { workspace: string; sequence: number; hash: string; source: string };

export type ChainVerdict = { faults: ChainFault[]; count: number; head: string };

/** One line of an export, and what its text says. */
export type ExportedEntry = {
  sequence: number;
  previousHash: string;
  hash: string;
  text: string;
  facts: Record<string, unknown>;
};

export const shownFaults = 100;
const genesis = `sha256:${'0'.repeat(64)}`;

/**
 * Checks the lines of an export, null for one that is no UTF-8. `entry` is told every entry as it
 * stands. Up to a hundred faults are kept.
 */
export async function checkChain(
  lines: AsyncIterable<string | null> | Iterable<string | null>,
  { kept = [], entry }: { kept?: KeptHead[]; entry?: (entry: ExportedEntry) => void } = {},
): Promise<ChainVerdict> {
  const chain = newChain(kept);
  for await (const line of lines) {
    const read = takeLine(chain, line);
    if (read !== null) entry?.(read);
  }
  noteEnd(chain, kept);
  const { faults, count, head } = chain;
  return { faults, count, head };
}

type Chain = {
  faults: ChainFault[];
  kept: Map<string, KeptHead[]>;
  /** Lines read so far; entries among them; lines since the last entry that are none. */
  line: number;
  count: number;
  unread: number;
  /** The sequence that is expected, and the hash that it must name, null where that is unknown. */
  next: number;
  hash: string | null;
  head: string;
  workspace: string | undefined;
};

function newChain(heads: KeptHead[]): Chain {
  const kept = new Map<string, KeptHead[]>();
  for (const head of heads) {
    const place = placeOf(head.workspace, head.sequence);
    kept.set(place, [...(kept.get(place) ?? []), head]);
  }
  const counts = { line: 0, count: 0, unread: 0, next: 1 };
  return { faults: [], kept, ...counts, hash: genesis, head: genesis, workspace: undefined };
}

const placeOf = (workspace: unknown, sequence: number) => `${sequence} ${workspace}`;

function note({ faults, line }: Chain, sequence: number, detail: string): void {
  if (faults.length < shownFaults) faults.push({ sequence, line, detail });
}

function takeLine(chain: Chain, text: string | null): ExportedEntry | null {
  chain.line++;
  const entry = readLine(text);
  if (entry === null) {
    chain.unread++;
    const { line, next } = chain;
    const shown = `line ${line} is no line of an audit export`;
    note(chain, next, `${shown}; entry ${next} is expected. Get one from GET /v1/audit/export`);
    return null;
  }
  chain.count++;
  const { sequence } = entry;
  if (sequence < chain.next) {
    const detail = `entry ${sequence} stands a second time, or out of order, at line ${chain.line}`;
    note(chain, sequence, detail);
    return entry;
  }
  if (sequence > chain.next) {
    // As many lines that could not be read are entries that were named already.
    if (sequence - chain.next > chain.unread)
      note(chain, chain.next, missing(chain.next, sequence));
    chain.hash = null;
  }
  for (const detail of entryFaults(chain, entry)) note(chain, sequence, detail);
  chain.workspace ??= String(entry.facts.workspaceId);
  Object.assign(chain, { unread: 0, next: sequence + 1, hash: entry.hash, head: entry.hash });
  return entry;
}

function entryFaults({ hash, kept }: Chain, entry: ExportedEntry): string[] {
  const { sequence, facts } = entry;
  const faults: string[] = [];
  if (hash !== null && entry.previousHash !== hash) {
    faults.push(`entry ${sequence} does not follow from the one before it`);
  }
  if (entry.hash !== sha256(`${entry.previousHash}\n${entry.text}`)) {
    faults.push(`the text of entry ${sequence} was altered`);
  }
  if (facts.sequence !== sequence) {
    faults.push(`the text of entry ${sequence} says that it is ${facts.sequence}`);
  }
  for (const one of kept.get(placeOf(facts.workspaceId, sequence)) ?? []) {
    if (one.hash === entry.hash) continue;
    faults.push(`entry ${sequence} is not the one that ${one.source} names`);
  }
  return faults;
}

function noteEnd(chain: Chain, kept: KeptHead[]): void {
  const { line, next, workspace } = chain;
  if (line === 0) note(chain, 1, 'the file holds no entries');
  for (const { sequence, source, workspace: of } of kept) {
    // Without one entry that can be read nobody knows whose chain it was.
    if (sequence < next || (workspace !== undefined && of !== workspace)) continue;
    const cut = `the end was cut off: ${source} names entry ${sequence}`;
    note(chain, sequence, `${cut}, the file ends with ${next - 1}`);
  }
}

function missing(from: number, until: number): string {
  const last = until - 1;
  if (from === last) return `entry ${from} is missing: ${until} follows`;
  return `entries ${from} to ${last} are missing: ${until} follows`;
}

/** A line as the service writes it, to the byte; null for any other. */
function readLine(line: string | null): ExportedEntry | null {
  if (line === null) return null;
  try {
    const { sequence, previousHash, hash, text } = JSON.parse(line) as ExportedEntry;
    if (JSON.stringify({ sequence, previousHash, hash, text }) !== line) return null;
    if (!Number.isSafeInteger(sequence) || typeof text !== 'string') return null;
    const facts = JSON.parse(text) as unknown;
    if (typeof facts !== 'object' || facts === null) return null;
    return { sequence, previousHash, hash, text, facts: facts as Record<string, unknown> };
  } catch {
    return null;
  }
}

const sha256 = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;
