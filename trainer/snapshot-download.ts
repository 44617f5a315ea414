// A snapshot fetched and verified in one pass: the text of each chunk is hashed as it arrives, so a
// million cases are checked against their digest in the time that they take to travel.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { snapshotHeaderSchema } from '../api/contract/snapshots.ts';
import { canonicalHeader, chunkCases } from '../api/weights/digest.ts';
import { type Client, failure } from './client.ts';

/** A snapshot as columns in digest order. Units are out of 2^52. */
export type DownloadedSnapshot = {
  digest: string;
  header: z.infer<typeof snapshotHeaderSchema>;
  ids: string[];
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
};

const factsSchema = z.object({ digest: z.string(), header: snapshotHeaderSchema });

/**
 * Fetches a snapshot by id, digest or alias. Throws a Failure where the lines do not give the
 * digest, or do not hold the cases that the header counts (METHOD.md section 5).
 */
export async function downloadSnapshot(client: Client, key: string): Promise<DownloadedSnapshot> {
  const response = await client.send('GET', `/v1/snapshots/${encodeURIComponent(key)}/cases`, {
    headers: { accept: 'text/tab-separated-values' },
  });
  const facts = decodeURIComponent(response.headers.get('counterweight-snapshot') ?? 'null');
  const { digest, header } = factsSchema.parse(JSON.parse(facts));
  const columns = emptyColumns(header.caseCount);
  const whole = createHash('sha256').update(canonicalHeader(header));
  for await (const text of chunkTexts(response.body as ReadableStream<Uint8Array>)) {
    whole.update(createHash('sha256').update(text).digest());
    readLines(text.toString('utf8'), columns);
  }
  const made = `sha256:${whole.digest('hex')}`;
  if (made !== digest || columns.ids.length !== header.caseCount) {
    throw failure(
      `the snapshot that arrived is not ${digest}: its ${columns.ids.length} cases give ${made}. Fetch it again; if that repeats, ask the operator to run GET /v1/audit/verify.`,
    );
  }
  return { digest, header, ...columns };
}

type Columns = Pick<DownloadedSnapshot, 'ids' | 'targetUnits' | 'drawUnits' | 'lossFactors'>;

const emptyColumns = (caseCount: number): Columns => ({
  ids: [],
  targetUnits: new Float64Array(caseCount),
  drawUnits: new Float64Array(caseCount),
  lossFactors: new Float64Array(caseCount),
});

const newline = 10;

// Whole chunks of lines, as bytes: what the digest hashes one by one.
async function* chunkTexts(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let lines = 0;
  for await (const bytes of body) {
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let start = 0;
    for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, at + 1)) {
      if (++lines < chunkCases) continue;
      yield Buffer.concat([...pieces, piece.subarray(start, at + 1)]);
      pieces = [];
      lines = 0;
      start = at + 1;
    }
    if (start < piece.length) pieces.push(piece.subarray(start));
  }
  if (pieces.length > 0) yield Buffer.concat(pieces);
}

const bits = new DataView(new ArrayBuffer(8));

// A line is id, target units, draw units and 16 hex digits; ids hold no tab.
function readLines(text: string, { ids, targetUnits, drawUnits, lossFactors }: Columns): void {
  let lastHex = '';
  let lastFactor = Number.NaN;
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    if (end < 0) return;
    const tab = text.indexOf('\t', from);
    const second = text.indexOf('\t', tab + 1);
    const hex = text.slice(end - 16, end);
    if (hex !== lastHex) {
      bits.setUint32(0, Number.parseInt(hex.slice(0, 8), 16));
      bits.setUint32(4, Number.parseInt(hex.slice(8), 16));
      lastFactor = bits.getFloat64(0);
      lastHex = hex;
    }
    const k = ids.length;
    ids.push(text.slice(from, tab));
    targetUnits[k] = Number(text.slice(tab + 1, second));
    drawUnits[k] = Number(text.slice(second + 1, end - 17));
    lossFactors[k] = lastFactor;
    from = end + 1;
  }
}
