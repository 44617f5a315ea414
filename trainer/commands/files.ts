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

/** A longer run of bytes without a newline is nothing that we write. */
const longestBlock = 2 ** 25;

const newline = 10;

/**
 * The bytes of a file, gzipped or not, in blocks of so many lines; the last holds what is left. All
 * bytes are in one of them. Throws a usage Failure where the file cannot be read.
 */
export async function* lineBlocks(file: string, lines: number): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let held = 0;
  let whole = 0;
  try {
    for await (const piece of unzipped(file)) {
      let start = 0;
      for (let at = piece.indexOf(newline); at >= 0; at = piece.indexOf(newline, at + 1)) {
        if (++whole < lines) continue;
        yield Buffer.concat([...pieces, piece.subarray(start, at + 1)]);
        pieces = [];
        held = 0;
        whole = 0;
        start = at + 1;
      }
      pieces.push(piece.subarray(start));
      held += piece.length - start;
      if (held > longestBlock) throw new Error('its lines are longer than any of an export');
    }
  } catch (cause) {
    throw fault(file, 'read', cause);
  }
  if (held > 0) yield Buffer.concat(pieces);
}

async function* unzipped(file: string): AsyncGenerator<Buffer> {
  const fd = openSync(file, 'r');
  const start = Buffer.alloc(2);
  readSync(fd, start, 0, 2, 0);
  const bytes = createReadStream(file, { fd, start: 0, highWaterMark: 2 ** 20 });
  if (start[0] !== 0x1f || start[1] !== 0x8b) return yield* bytes;
  const gunzip = createGunzip({ chunkSize: 2 ** 20 });
  bytes.on('error', (cause) => gunzip.destroy(cause));
  yield* bytes.pipe(gunzip);
  // What follows the end of a zip is passed over without a word.
  const more = bytes.bytesRead - gunzip.bytesWritten;
  if (more > 0) throw new Error(`${more} bytes follow the end of its gzip data`);
}

/** A file to write, opened before any work is done for it. */
export function openOutput(file: string): WriteStream {
  try {
    return createWriteStream(file, { fd: openSync(file, 'w') });
  } catch (cause) {
    throw fault(file, 'written', cause);
  }
}
