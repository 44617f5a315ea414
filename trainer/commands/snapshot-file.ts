// An exported snapshot checked to the byte, as it is read: each block of lines must be what the
// service would write for the numbers in it, and the numbers must give the digests. A million cases
// take two seconds and no more memory than a few thousand.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { digestSchema } from '../../api/contract/shared.ts';
import {
  type LineForm,
  lineForms,
  type SnapshotFormat,
} from '../../api/contract/snapshot-lines.ts';
import { excludedCaseSchema, snapshotHeaderSchema } from '../../api/contract/snapshots.ts';
import { canonicalHeader, chunkCases, compareIds } from '../../api/weights/digest.ts';
import { noSnapshot } from './exports.ts';
import { lineBlocks, readDocument } from './files.ts';
import { type Columns, emptyColumns, lineReaders } from './snapshot-lines.ts';

const factsShape = { digest: digestSchema, header: z.strictObject(snapshotHeaderSchema.shape) };
const besideSchema = z.object({ ...factsShape, scoresDigest: digestSchema.nullable() });
// The document itself is held to its keys: a misspelt one would leave the scores unchecked.
const documentSchema = z.strictObject({
  ...factsShape,
  scoresDigest: digestSchema.nullish(),
  excluded: z.array(excludedCaseSchema).optional(),
  cases: z.array(z.unknown()),
});
type Facts = Omit<z.infer<typeof documentSchema>, 'cases'>;

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
  const format = formatOf(file, header);
  let start: Start | undefined =
    header === undefined
      ? undefined
      : {
          facts: factsOf(readDocument(header), besideSchema, header),
          head: lineForms[format].before,
        };
  let check: RunningCheck | undefined;
  let fault: string | null = null;
  for await (const block of lineBlocks(file, chunkCases)) {
    start ??= startOf(block, file);
    check ??= runningCheck(format, start);
    fault = check.add(block);
    if (fault !== null) break;
  }
  start ??= startOf(Buffer.alloc(0), file);
  check ??= runningCheck(format, start);
  fault ??= check.end();
  const { digest, header: stated, scoresDigest } = start.facts;
  const scored = hasScores(format) && typeof scoresDigest === 'string';
  return { fault, digest, caseCount: stated.caseCount, scoresChecked: fault === null && scored };
}

const hasScores = (format: SnapshotFormat) => format !== 'text/tab-separated-values';

function formatOf(file: string, header?: string): SnapshotFormat {
  if (header === undefined) return 'application/json';
  const ending = /\.(csv|tsv)(\.gz)?$/.exec(file)?.[1];
  if (ending === undefined) return 'application/x-ndjson';
  return ending === 'csv' ? 'text/csv' : 'text/tab-separated-values';
}

/** What a file is checked with, and the text that it must begin with. */
type Start = { facts: Facts; head: string };

// Of a JSON document. Fields as they came: their order is the database's, which is no schema's.
function startOf(block: Buffer, file: string): Start {
  const mark = '"cases":[';
  const end = block.indexOf(mark);
  const text = block.subarray(0, end < 0 ? block.length : end + mark.length).toString('utf8');
  const document = jsonOf(end < 0 ? text : `${text}]}`);
  const facts = factsOf(document, documentSchema, file);
  return { facts, head: JSON.stringify({ ...(document as object), cases: [] }).slice(0, -2) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function factsOf<T extends Facts>(document: unknown, schema: z.ZodType<T>, file: string): T {
  const read = schema.safeParse(document);
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw noSnapshot(file, `${path.join('.') || 'document'}: ${message}`);
}

type RunningCheck = { add: (block: Buffer) => string | null; end: () => string | null };

function runningCheck(format: SnapshotFormat, { facts, head }: Start): RunningCheck {
  const form: LineForm = lineForms[format];
  const columns = emptyColumns(chunkCases);
  const digests = runningDigests(facts);
  const place = { lines: 0, cases: 0, lastId: null as string | null, ended: false };
  const add = (block: Buffer) => {
    if (place.ended && form.after !== form.between) return `it goes on after line ${place.lines}`;
    const before = place.lines === 0 ? head : '';
    const text = block.toString('utf8');
    columns.ids = [];
    lineReaders[format](text, before.length, columns);
    place.ended = text.endsWith(form.after);
    const last = columns.ids.length - 1;
    let written = before;
    let unordered: string | null = null;
    for (const [k, id] of columns.ids.entries()) {
      written += form.line(columns, k) + (k === last && place.ended ? form.after : form.between);
      if (place.lastId !== null && compareIds(place.lastId, id) >= 0) unordered ??= id;
      place.lastId = id;
      digests.add(columns, k);
    }
    if (!Buffer.from(written).equals(block)) return difference(text, written, place.lines);
    if (unordered !== null) return `case "${unordered}" is not in id order`;
    place.lines += columns.ids.length + (before.endsWith('\n') ? 1 : 0);
    place.cases += columns.ids.length;
    return null;
  };
  const end = () => {
    if (!place.ended) return `it ends after line ${place.lines}, in the middle of the cases`;
    if (place.cases === facts.header.caseCount) return digests.fault(hasScores(format));
    return `the header says ${facts.header.caseCount} cases, the file has ${place.cases}`;
  };
  return { add, end };
}

// Where a text first differs from the one that belongs there.
function difference(text: string, written: string, linesBefore: number): string {
  const right = written.split('\n');
  const lines = text.split('\n');
  const at = lines.findIndex((line, k) => line !== right[k]);
  // The bytes differ, their text does not: what is no UTF-8 is read as a replacement character.
  if (at < 0) return 'it holds bytes that are no UTF-8';
  return `line ${linesBefore + at + 1} is not as the service writes it`;
}

// Both digests (METHOD.md section 5, and of the scores), made from the numbers as they come.
function runningDigests({ digest, header, scoresDigest }: Facts) {
  const { line, after } = lineForms['text/tab-separated-values'];
  const whole = createHash('sha256').update(canonicalHeader(header));
  const scores = createHash('sha256');
  const scoreBytes = Buffer.alloc(8 * chunkCases);
  const sums = { targetUnits: 0, drawUnits: 0 };
  let text = '';
  let held = 0;
  const closeChunk = () => {
    if (held === 0) return;
    whole.update(createHash('sha256').update(text).digest());
    scores.update(scoreBytes.subarray(0, 8 * held));
    text = '';
    held = 0;
  };
  const add = (columns: Columns, k: number) => {
    text += line(columns, k) + after;
    scoreBytes.writeDoubleBE(columns.scores[k], 8 * held);
    sums.targetUnits += columns.targetUnits[k];
    sums.drawUnits += columns.drawUnits[k];
    if (++held === chunkCases) closeChunk();
  };
  const fault = (scored: boolean) => {
    closeChunk();
    for (const units of ['targetUnits', 'drawUnits'] as const) {
      if (sums[units] !== 2 ** 52) return `${units} sum to ${sums[units]}, not 2^52`;
    }
    const made = `sha256:${whole.digest('hex')}`;
    if (made !== digest) return `the digest of the cases is ${made}, not ${digest}`;
    const madeOfScores = `sha256:${scores.digest('hex')}`;
    return !scored || typeof scoresDigest !== 'string' || madeOfScores === scoresDigest
      ? null
      : `the digest of the scores is ${madeOfScores}, not ${scoresDigest}`;
  };
  return { add, fault };
}
