// Files that a command is given or told to write; whatever is wrong with one names it.

import {
  createReadStream,
  createWriteStream,
  openSync,
  readFileSync,
  readSync,
  type WriteStream,
} from 'node:fs';
import { createGunzip } from 'node:zlib';
import { exitCodes, type Failure, failure } from '../client.ts';

const fault = (file: string, what: string, cause: unknown): Failure =>
  failure(`${file} cannot be ${what}: ${(cause as Error).message}`, exitCodes.usage);

/** The text of a file. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw fault(file, 'read', cause);
  }
}

/** A JSON document from a file. */
export function readDocument(file: string): unknown {
  const text = readText(file);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fault(file, 'read as JSON', cause);
  }
}

/** The values of an NDJSON file, a line each; blank lines are passed over. */
export function readJsonLines(file: string): unknown[] {
  return readText(file)
    .split('\n')
    .flatMap((line, k) => {
      if (line.trim() === '') return [];
      try {
        return [JSON.parse(line) as unknown];
      } catch (cause) {
        throw fault(file, `read, line ${k + 1}`, cause);
      }
    });
}

/**
 * The lines of a UTF-8 file, gzipped or not, each with its newline: every byte is in one of them.
 */
export async function* rawLines(file: string): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let rest = '';
  try {
    for await (const bytes of unzipped(file)) {
      const text = rest + decoder.decode(bytes, { stream: true });
      const end = text.lastIndexOf('\n') + 1;
      rest = text.slice(end);
      yield* text.slice(0, end).match(/[^\n]*\n/g) ?? [];
    }
    rest += decoder.decode();
  } catch (cause) {
    throw fault(file, 'read', cause);
  }
  if (rest !== '') yield rest;
}

function unzipped(file: string): AsyncIterable<Buffer> {
  const fd = openSync(file, 'r');
  const start = Buffer.alloc(2);
  readSync(fd, start, 0, 2, 0);
  const bytes = createReadStream(file, { fd, start: 0, highWaterMark: 1 << 20 });
  if (start[0] !== 0x1f || start[1] !== 0x8b) return bytes;
  const gunzip = createGunzip();
  bytes.on('error', (cause) => gunzip.destroy(cause));
  return bytes.pipe(gunzip);
}

/** A file to write, opened before any work is done for it. */
export function openOutput(file: string): WriteStream {
  try {
    return createWriteStream(file, { fd: openSync(file, 'w') });
  } catch (cause) {
    throw fault(file, 'written', cause);
  }
}
