// The four formats in which the cases of a snapshot are streamed, a text for each chunk of 8,192
// cases: a million small pieces would cost more than what they say.

import type { Snapshot, SnapshotChunk } from '../contract/snapshots.ts';
import { streamed } from '../http/streams.ts';

export const snapshotFormats = [
  'application/x-ndjson',
  'text/csv',
  'application/json',
  'text/tab-separated-values',
] as const;
/** Digest and header, so that a download of lines alone can be verified: URI-encoded JSON. */
const factsHeader = 'counterweight-snapshot';
export type SnapshotFormat = (typeof snapshotFormats)[number];

/** The cases as a response in one of the formats, produced as the client reads. */
export async function snapshotAnswer({
  format,
  snapshot: { digest, header },
  chunks,
  headers = {},
}: {
  format: SnapshotFormat;
  snapshot: Pick<Snapshot, 'digest' | 'header'>;
  chunks: AsyncGenerator<SnapshotChunk>;
  headers?: Record<string, string>;
}): Promise<Response> {
  return await streamed(texts[format](chunks, { digest, header }), format, {
    ...headers,
    [factsHeader]: encodeURIComponent(JSON.stringify({ digest, header })),
  });
}

type Texts = (
  chunks: AsyncIterable<SnapshotChunk>,
  snapshot: Pick<Snapshot, 'digest' | 'header'>,
) => AsyncGenerator<string>;

const texts: Record<SnapshotFormat, Texts> = {
  'application/x-ndjson': async function* (chunks) {
    for await (const chunk of chunks) yield linesOf(chunk, (k) => `${jsonOf(chunk, k)}\n`);
  },
  'text/csv': async function* (chunks) {
    yield 'id,targetUnits,drawUnits,lossFactor,score\r\n';
    for await (const chunk of chunks) yield linesOf(chunk, (k) => csvOf(chunk, k));
  },
  'application/json': async function* (chunks, { digest, header }) {
    yield `${JSON.stringify({ digest, header }).slice(0, -1)},"cases":[`;
    let separator = '';
    for await (const chunk of chunks) {
      yield linesOf(chunk, (k) => `${k === 0 ? separator : ',\n'}${jsonOf(chunk, k)}`);
      separator = ',\n';
    }
    yield ']}\n';
  },
  // Byte for byte what the digest is made of (METHOD.md section 5): each 8,192 lines are a chunk.
  'text/tab-separated-values': async function* (chunks) {
    for await (const chunk of chunks) {
      const { ids, targetUnits, drawUnits } = chunk;
      const factors = hexOf(chunk.lossFactors);
      yield linesOf(chunk, (k) => `${ids[k]}\t${targetUnits[k]}\t${drawUnits[k]}\t${factors[k]}\n`);
    }
  },
};

function linesOf({ ids }: SnapshotChunk, line: (k: number) => string): string {
  let text = '';
  for (let k = 0; k < ids.length; k++) text += line(k);
  return text;
}

// By hand, in the order and form of JSON.stringify, at a third of its time.
function jsonOf({ ids, targetUnits, drawUnits, lossFactors, scores }: SnapshotChunk, k: number) {
  const units = `"targetUnits":"${targetUnits[k]}","drawUnits":"${drawUnits[k]}"`;
  return `{"id":${JSON.stringify(ids[k])},${units},"lossFactor":${lossFactors[k]},"score":${scores[k]}}`;
}

function csvOf({ ids, targetUnits, drawUnits, lossFactors, scores }: SnapshotChunk, k: number) {
  const units = `${targetUnits[k]},${drawUnits[k]}`;
  return `${csvField(ids[k])},${units},${lossFactors[k]},${scores[k]}\r\n`;
}

// Ids are written as they are: a digest computed from the file must come out right.
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The bits of float64 values as 16 hex digits each, most significant first. */
function hexOf(values: Float64Array): string[] {
  const bits = new DataView(new ArrayBuffer(8));
  const word = (at: number) => bits.getUint32(at).toString(16).padStart(8, '0');
  // Factors repeat: many cases stand at floor or cap, and at strength 0 all are 1.
  let last = Number.NaN;
  let hex = '';
  return Array.from(values, (value) => {
    if (value === last) return hex;
    bits.setFloat64(0, value);
    last = value;
    hex = word(0) + word(4);
    return hex;
  });
}
