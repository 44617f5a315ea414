// nnU-Net's splits_final.json read as a stream: five folds of a million cases are ten million
// strings, which no request should hold at once.

import { JSONParser, TokenType } from '@streamparser/json';
import type { SplitId, SplitStream } from '../contract/splits.ts';
import { ProblemError } from '../errors.ts';

const sides = new Set<unknown>(['train', 'val']);

/**
 * The ids of a split as they stand in the body, some at a time; the number of folds is returned at
 * the end. Throws `invalid-request` where the body is not JSON, `unprocessable` where it is no list
 * of folds.
 */
export async function* splitIds(chunks: AsyncIterable<Uint8Array>): SplitStream {
  let found: SplitId[] = [];
  let folds = 0;
  let depth = 0;
  let first = true;
  const parser = new JSONParser({ paths: ['$.*.train.*', '$.*.val.*'], keepStack: false });
  parser.onValue = ({ value, key, stack }) => {
    found.push(idOf(value, { fold: stack[1].key, side: stack[2].key, place: key }));
  };
  parser.onToken = ({ token }) => {
    if (first && token !== TokenType.LEFT_BRACKET) {
      throw noSplit('', 'the split is no list of folds');
    }
    first = false;
    if (depth === 1 && token === TokenType.LEFT_BRACE) folds++;
    else if (depth === 1 && token !== TokenType.COMMA && token !== TokenType.RIGHT_BRACKET) {
      throw noSplit(`/${folds}`, 'this fold is no object with train and val');
    }
    if (token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET) depth++;
    else if (token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET) depth--;
  };
  parser.onError = (cause) => {
    throw cause instanceof ProblemError ? cause : malformed(cause);
  };
  for await (const chunk of chunks) {
    parser.write(chunk);
    yield found;
    found = [];
  }
  if (!parser.isEnded) throw malformed(new Error('it ends too early'));
  return folds;
}

function idOf(value: unknown, at: { fold: unknown; side: unknown; place: unknown }): SplitId {
  const pointer = `/${at.fold}/${at.side}/${at.place}`;
  const well = sides.has(at.side) && typeof at.fold === 'number' && typeof at.place === 'number';
  if (typeof value !== 'string' || !well) throw noSplit(pointer, 'this is no case id');
  return {
    fold: at.fold as number,
    side: at.side as 'train' | 'val',
    place: at.place as number,
    id: value,
  };
}

function noSplit(pointer: string, detail: string): ProblemError {
  return new ProblemError('unprocessable', `The split was not stored: ${detail}.`, {
    errors: [{ pointer, detail }],
  });
}

function malformed(cause: Error): ProblemError {
  return new ProblemError('invalid-request', `The body is not valid JSON: ${cause.message}.`, {
    cause,
  });
}
