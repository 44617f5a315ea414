// An exported snapshot checked to the byte, as it is read: each line must be what the service would
// write for the numbers in it, and the numbers must give the digests. A million cases take seconds
// and no more memory than a few thousand.

import { createHash, type Hash } from 'node:crypto';
import { z } from 'zod';
import { digestSchema } from '../../api/contract/shared.ts';
import {
  type LineForm,
  lineForms,
  type SnapshotFormat,
} from '../../api/contract/snapshot-lines.ts';
import { snapshotHeaderSchema } from '../../api/contract/snapshots.ts';
import { canonicalHeader, chunkCases, compareIds } from '../../api/weights/digest.ts';
import { noSnapshot } from './exports.ts';
import { rawLines, readDocument } from './files.ts';

const factsSchema = z.object({
  digest: digestSchema,
  scoresDigest: digestSchema.nullish(),
  header: snapshotHeaderSchema,
});
type Facts = z.infer<typeof factsSchema>;

export type FileVerdict = {
  /** What is wrong and on which line, or null. */
  fault: string | null;
  digest: string;
  caseCount: number;
  /** False where the file holds no scores, or its snapshot is older than their digest. */
  scoresChecked: boolean;
};

/**
 * Checks a file of cases as exported: the JSON document alone, or lines (.ndjson, .csv, .tsv) with
 * the document of `GET /v1/snapshots/{snapshot}` as `header`; each gzipped or not. Throws a usage
 * Failure where a file cannot be read or is none of these.
 */
export async function verifySnapshotFile(file: string, header?: string): Promise<FileVerdict> {
  const lines = rawLines(file);
  const format = formatOf(file, header);
  const first = (await lines.next()).value ?? '';
  const { facts, start } = opened(first, { file, header, format });
  const verdict = { digest: facts.digest, caseCount: facts.header.caseCount };
  const scored = format !== 'text/tab-separated-values' && typeof facts.scoresDigest === 'string';
  const fault =
    start === null
      ? 'line 1 is not as the service writes it'
      : await faultOf(startingWith(start, lines), { format, facts });
  return { ...verdict, fault, scoresChecked: fault === null && scored };
}

function formatOf(file: string, header?: string): SnapshotFormat {
  if (header === undefined) return 'application/json';
  const ending = /\.(csv|tsv)(\.gz)?$/.exec(file)?.[1];
  if (ending === undefined) return 'application/x-ndjson';
  return ending === 'csv' ? 'text/csv' : 'text/tab-separated-values';
}

/** The facts of a snapshot and what follows them on the first line; null where that is altered. */
function opened(
  line: string,
  { file, header, format }: { file: string; header?: string; format: SnapshotFormat },
): { facts: Facts; start: string | null } {
  if (header !== undefined) {
    const { before } = lineForms[format];
    const facts = factsOf(readDocument(header), header);
    return { facts, start: line.startsWith(before) ? line.slice(before.length) : null };
  }
  const mark = '"cases":[';
  const end = line.includes(mark) ? line.indexOf(mark) + mark.length : line.length;
  const document = jsonOf(end < line.length ? `${line.slice(0, end)}]}` : line);
  const facts = factsOf(document, file);
  // Fields as they came: their order is the database's, which is no schema's.
  const written = JSON.stringify({ ...(document as object), cases: [] }).slice(0, -2);
  return { facts, start: line.startsWith(written) ? line.slice(end) : null };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function factsOf(document: unknown, file: string): Facts {
  const read = factsSchema.safeParse(document);
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw noSnapshot(file, `${path.join('.') || 'document'}: ${message}`);
}

async function* startingWith(first: string, lines: AsyncIterable<string>): AsyncGenerator<string> {
  if (first !== '') yield first;
  yield* lines;
}

type Columns = Record<'targetUnits' | 'drawUnits' | 'lossFactors' | 'scores', number[]> & {
  ids: string[];
};

type Digests = { whole: Hash; scores: Hash; targetUnits: number; drawUnits: number };

async function faultOf(
  lines: AsyncIterable<string>,
  { format, facts }: { format: SnapshotFormat; facts: Facts },
): Promise<string | null> {
  const form: LineForm = lineForms[format];
  const digests = newDigests(facts);
  let chunk = emptyColumns();
  let count = 0;
  let lastId: string | null = null;
  let ended = false;
  for await (const line of lines) {
    count++;
    const k = parsers[format](line, chunk);
    const written = k < 0 ? null : form.line(chunk, k);
    ended = written !== null && line === written + form.after;
    if (!ended && (written === null || line !== written + form.between)) {
      return `line ${count} is not as the service writes it`;
    }
    const id = chunk.ids[k];
    if (lastId !== null && compareIds(lastId, id) >= 0) return `case "${id}" is not in id order`;
    lastId = id;
    if (k + 1 < chunkCases) continue;
    closeChunk(digests, chunk);
    chunk = emptyColumns();
  }
  if (chunk.ids.length > 0) closeChunk(digests, chunk);
  if (!ended) return `it ends after line ${count}, in the middle of the cases`;
  return faultOfWhole(digests, { facts, count, format });
}

const newDigests = ({ header }: Facts): Digests => ({
  whole: createHash('sha256').update(canonicalHeader(header)),
  scores: createHash('sha256'),
  targetUnits: 0,
  drawUnits: 0,
});

const emptyColumns = (): Columns => ({
  ids: [],
  targetUnits: [],
  drawUnits: [],
  lossFactors: [],
  scores: [],
});

function closeChunk(digests: Digests, chunk: Columns): void {
  const { line, after } = lineForms['text/tab-separated-values'];
  const scores = Buffer.alloc(8 * chunk.ids.length);
  let text = '';
  for (let k = 0; k < chunk.ids.length; k++) {
    text += line(chunk, k) + after;
    scores.writeDoubleBE(chunk.scores[k], 8 * k);
    digests.targetUnits += chunk.targetUnits[k];
    digests.drawUnits += chunk.drawUnits[k];
  }
  digests.whole.update(createHash('sha256').update(text).digest());
  digests.scores.update(scores);
}

function faultOfWhole(
  digests: Digests,
  { facts, count, format }: { facts: Facts; count: number; format: SnapshotFormat },
): string | null {
  const { digest, scoresDigest, header } = facts;
  if (count !== header.caseCount) {
    return `the header says ${header.caseCount} cases, the file has ${count}`;
  }
  for (const units of ['targetUnits', 'drawUnits'] as const) {
    if (digests[units] !== 2 ** 52) return `${units} sum to ${digests[units]}, not 2^52`;
  }
  const made = `sha256:${digests.whole.digest('hex')}`;
  if (made !== digest) return `the digest of the cases is ${made}, not ${digest}`;
  if (format === 'text/tab-separated-values' || typeof scoresDigest !== 'string') return null;
  const scores = `sha256:${digests.scores.digest('hex')}`;
  return scores === scoresDigest
    ? null
    : `the digest of the scores is ${scores}, not ${scoresDigest}`;
}

// Each adds the case of a line to the columns and answers its place, or -1 where it is no such
// line. They need not be strict: what they read is written again and compared.
const parsers: Record<SnapshotFormat, (line: string, columns: Columns) => number> = {
  // A case ends with its own brace; the last one is followed by that of the document.
  'application/json': (line, columns) => fromJson(line.replace(/,\n$|\]\}\n$/, ''), columns),
  'application/x-ndjson': fromJson,
  'text/csv': (line, columns) => {
    const quoted = /^"((?:[^"]|"")*)",(.*)\r?\n?$/s.exec(line);
    const [, plainId, plainRest] = /^([^,]*),(.*)\r\n$/s.exec(line) ?? [];
    const id = quoted === null ? plainId : quoted[1].replaceAll('""', '"');
    const rest = quoted === null ? plainRest : quoted[2];
    return added(columns, id, rest?.split(',').map(Number) ?? []);
  },
  'text/tab-separated-values': (line, columns) => {
    const [id, target, draw, hex] = line.trimEnd().split('\t');
    const factor = Buffer.alloc(8);
    factor.write(hex ?? '', 'hex');
    return added(columns, id, [Number(target), Number(draw), factor.readDoubleBE(), 0]);
  },
};

function fromJson(line: string, columns: Columns): number {
  const one = jsonOf(line) as Record<string, unknown>;
  if (typeof one !== 'object' || one === null) return -1;
  const { id, targetUnits, drawUnits, lossFactor, score } = one;
  const numbers = [targetUnits, drawUnits, lossFactor, score].map(Number);
  return typeof id === 'string' ? added(columns, id, numbers) : -1;
}

function added(columns: Columns, id: string | undefined, numbers: number[]): number {
  if (id === undefined || numbers.length !== 4) return -1;
  columns.targetUnits.push(numbers[0]);
  columns.drawUnits.push(numbers[1]);
  columns.lossFactors.push(numbers[2]);
  columns.scores.push(numbers[3]);
  return columns.ids.push(id) - 1;
}
