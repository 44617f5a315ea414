// Files that a command is given or told to write; whatever is wrong with one names it.

import { createWriteStream, openSync, readFileSync, type WriteStream } from 'node:fs';
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

/** A file to write, opened before any work is done for it. */
export function openOutput(file: string): WriteStream {
  try {
    return createWriteStream(file, { fd: openSync(file, 'w') });
  } catch (cause) {
    throw fault(file, 'written', cause);
  }
}
