// The cases of a snapshot as a response in one of its four forms, a text for each chunk of 8,192
// cases: a million small pieces would cost more than what they say.

import {
  chunkText,
  type LineForm,
  lineForms,
  type SnapshotFormat,
} from '../contract/snapshot-lines.ts';
import type { Snapshot, SnapshotChunk } from '../contract/snapshots.ts';
import { streamed } from '../http/streams.ts';

export const snapshotFormats = Object.keys(lineForms) as SnapshotFormat[];

/** Digests and header, so that a download of lines alone can be verified: URI-encoded JSON. */
const factsHeader = 'counterweight-snapshot';

type Facts = Pick<Snapshot, 'digest' | 'scoresDigest' | 'header' | 'excluded'>;

/** The cases as a response in one of the formats, produced as the client reads. */
export async function snapshotAnswer({
  format,
  snapshot: { digest, scoresDigest, header, excluded },
  chunks,
  headers = {},
}: {
  format: SnapshotFormat;
  snapshot: Facts;
  chunks: AsyncGenerator<SnapshotChunk>;
  headers?: Record<string, string>;
}): Promise<Response> {
  const facts = JSON.stringify({ digest, scoresDigest, header });
  const form: LineForm = lineForms[format];
  // Who is left out on purpose: no part of the digest, and too much for a header.
  const left = JSON.stringify(excluded);
  const document = `${facts.slice(0, -1)},"excluded":${left},"cases":[`;
  const before = format === 'application/json' ? document : form.before;
  return await streamed(texts({ ...form, before }, chunks), format, {
    ...headers,
    [factsHeader]: encodeURIComponent(facts),
  });
}

async function* texts(
  form: LineForm,
  chunks: AsyncIterable<SnapshotChunk>,
): AsyncGenerator<string> {
  let before = form.before;
  for await (const chunk of chunks) {
    yield before + chunkText(form, chunk);
    before = form.between;
  }
  yield form.after;
}
