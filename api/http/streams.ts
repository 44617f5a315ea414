// Streams in and out. Bodies are read in chunks with a cap on the decompressed size (workerd does
// not unzip request bodies, and a small zip can be a large body); answers are pulled, not buffered.

import type { Context } from 'hono';
import { uploadLimits } from '../contract/cases.ts';
import { ProblemError } from '../errors.ts';

/** The bytes of a request body, unzipped when `Content-Encoding: gzip` or by its first bytes. */
export function bodyChunks(
  request: Pick<Request, 'body'>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  if (request.body === null) {
    throw new ProblemError(
      'invalid-request',
      'The body is empty: send a file, for cases NDJSON, one case a line.',
    );
  }
  return capped(unzipped(request.body), maxBytes);
}

async function* unzipped(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  const first = await reader.read();
  if (first.done) return;
  const rest = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start: (controller) => controller.enqueue(first.value as Uint8Array<ArrayBuffer>),
    pull: async (controller) => {
      const next = await reader.read();
      if (next.done) controller.close();
      else controller.enqueue(next.value as Uint8Array<ArrayBuffer>);
    },
    cancel: (reason) => reader.cancel(reason),
  });
  const zipped = first.value[0] === 0x1f && first.value[1] === 0x8b;
  const stream = zipped ? rest.pipeThrough(new DecompressionStream('gzip')) : rest;
  try {
    yield* stream as unknown as AsyncIterable<Uint8Array>;
  } catch (cause) {
    if (!zipped) throw cause;
    throw new ProblemError(
      'unprocessable',
      'The gzip body is damaged or cut short; nothing of it was stored. Send the part again.',
      { cause },
    );
  }
}

async function* capped(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) {
      throw new ProblemError(
        'too-large',
        `The body is over ${maxBytes} bytes when unzipped; send it in several parts (Upload-Part).`,
      );
    }
    yield chunk;
  }
}

/**
 * The whole text of a request body, unzipped; `too-large` over `maxBytes`, `unprocessable` where
 * it is no UTF-8. Bodies that were read on the way in, as JSON documents are, are taken from there.
 */
export async function bodyText(c: Context, maxBytes: number): Promise<string> {
  const kept = c.req.raw.bodyUsed ? new Response(await c.req.arrayBuffer()) : c.req.raw;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for await (const chunk of bodyChunks(kept, maxBytes)) text += decoded(decoder, chunk);
  return text + decoded(decoder);
}

/** The lines of a UTF-8 stream with their numbers from 1; blank lines are passed over. */
export async function* numberedLines(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ line: number; text: string }> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  let line = 0;
  for await (const chunk of chunks) {
    const parts = (rest + decoded(decoder, chunk, line)).split('\n');
    rest = parts.pop() ?? '';
    for (const text of parts) {
      line++;
      refuseLong(line, text);
      if (text.trim() !== '') yield { line, text };
    }
    refuseLong(line + 1, rest);
  }
  rest += decoded(decoder, undefined, line);
  if (rest.trim() !== '') yield { line: line + 1, text: rest };
}

function refuseLong(line: number, text: string): void {
  if (text.length <= uploadLimits.lineBytes) return;
  throw new ProblemError('too-large', `Line ${line} is over ${uploadLimits.lineBytes} characters.`);
}

function decoded(decoder: TextDecoder, chunk?: Uint8Array, line?: number): string {
  try {
    return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true });
  } catch (cause) {
    const where = line === undefined ? 'The body' : `After line ${line} the body`;
    throw new ProblemError('unprocessable', `${where} is not valid UTF-8.`, { cause });
  }
}

/** Texts as a byte stream, joined into pieces of about 64 KiB, produced only as they are read. */
export function textStream(texts: AsyncIterator<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    async pull(controller) {
      let piece = '';
      while (piece.length < 65_536) {
        const next = await texts.next();
        if (next.done) {
          if (piece !== '') controller.enqueue(encoder.encode(piece));
          controller.close();
          return;
        }
        piece += next.value;
      }
      controller.enqueue(encoder.encode(piece));
    },
    async cancel() {
      await texts.return?.();
    },
  });
}

async function* jsonLines(items: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const item of items) yield `${JSON.stringify(item)}\n`;
}

/**
 * An NDJSON answer. The first item is made before the status is sent, so an early error is seen.
 */
export async function ndjson(
  items: AsyncIterable<unknown>,
  headers: Record<string, string> = {},
): Promise<Response> {
  return await streamed(jsonLines(items), 'application/x-ndjson', headers);
}

/** A text answer in pieces, with the same care for early errors. */
export async function streamed(
  texts: AsyncGenerator<string>,
  contentType: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  const first = await texts.next();
  async function* all(): AsyncGenerator<string> {
    if (first.done) return;
    yield first.value;
    yield* texts;
  }
  return new Response(textStream(all()), { headers: { 'content-type': contentType, ...headers } });
}
