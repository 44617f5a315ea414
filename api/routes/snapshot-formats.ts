// The three formats in which the cases of a snapshot are streamed.

import type { Snapshot, SnapshotCase } from '../contract/snapshots.ts';
import { ndjson, streamed } from '../http/streams.ts';

export const snapshotFormats = ['application/x-ndjson', 'text/csv', 'application/json'] as const;
export type SnapshotFormat = (typeof snapshotFormats)[number];

/** The cases as a response in one of the formats, produced as the client reads. */
export async function snapshotAnswer({
  format,
  snapshot,
  cases,
  headers = {},
}: {
  format: SnapshotFormat;
  snapshot: Pick<Snapshot, 'digest' | 'header'>;
  cases: AsyncGenerator<SnapshotCase>;
  headers?: Record<string, string>;
}): Promise<Response> {
  if (format === 'application/x-ndjson') return await ndjson(cases, headers);
  const texts = format === 'text/csv' ? csv(cases) : document(snapshot, cases);
  return await streamed(texts, format, headers);
}

async function* csv(cases: AsyncIterable<SnapshotCase>): AsyncGenerator<string> {
  yield 'id,targetUnits,drawUnits,lossFactor,score\r\n';
  for await (const { id, targetUnits, drawUnits, lossFactor, score } of cases) {
    yield `${csvField(id)},${targetUnits},${drawUnits},${lossFactor},${score}\r\n`;
  }
}

// Ids are written as they are: a digest computed from the file must come out right.
function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function* document(
  { digest, header }: Pick<Snapshot, 'digest' | 'header'>,
  cases: AsyncIterable<SnapshotCase>,
): AsyncGenerator<string> {
  yield `${JSON.stringify({ digest, header }).slice(0, -1)},"cases":[`;
  let separator = '';
  for await (const item of cases) {
    yield `${separator}${JSON.stringify(item)}`;
    separator = ',\n';
  }
  yield ']}\n';
}
