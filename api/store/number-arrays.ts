// Postgres arrays of numbers as typed arrays, through `array_send`: drivers parse their text form
// several times slower, and into one object per number.

import { type SQL, sql } from 'drizzle-orm';

/** Typed numbers as an array literal, to be cast to int[], bigint[] or float8[]. */
export function arrayLiteral(values: Int32Array | Float64Array): SQL {
  return sql`${`{${values.join(',')}}`}`;
}

/**
 * Elements of a long array that are sent in one text: while it encodes or reads one, Neon's driver
 * needs some thirty bytes for each character.
 */
export const pieceLength = 65_536;

/** An int[] of any length, sent in pieces. */
export function longIntArray(values: Int32Array): SQL {
  const pieces: SQL[] = [sql`'{}'::int[]`];
  for (let from = 0; from < values.length; from += pieceLength) {
    pieces.push(sql`${arrayLiteral(values.subarray(from, from + pieceLength))}::int[]`);
  }
  return sql.join(pieces, sql` || `);
}

/** Pieces of an int[] as one. */
export function joinedInts(pieces: Int32Array[]): Int32Array {
  const whole = new Int32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** The elements of `array_send(int[])`. */
export function int32Array(bytes: Uint8Array): Int32Array {
  const { view, length, stride } = opened(bytes);
  const values = new Int32Array(length);
  for (let k = 0; k < length; k++) values[k] = view.getInt32(24 + k * stride);
  return values;
}

/** The elements of `array_send(float8[])`. */
export function float64Array(bytes: Uint8Array): Float64Array {
  const { view, length, stride } = opened(bytes);
  const values = new Float64Array(length);
  for (let k = 0; k < length; k++) values[k] = view.getFloat64(24 + k * stride);
  return values;
}

/** The elements of `array_send(bigint[])`, which must be from 0 to 2^53: a double holds those. */
export function wholeNumbers(bytes: Uint8Array): Float64Array {
  const { view, length, stride } = opened(bytes);
  const values = new Float64Array(length);
  for (let k = 0; k < length; k++) {
    const at = 24 + k * stride;
    values[k] = view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
  }
  return values;
}

/** Whether these are the bytes of a list: one dimension from 1, no null, elements of that size. */
export function isWhole(bytes: Uint8Array, elementBytes: number): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [dimensions, nulls] = [view.getInt32(0), view.getInt32(4)];
  if (dimensions === 0) return true;
  if (dimensions !== 1 || nulls !== 0 || view.getInt32(16) !== 1) return false;
  return bytes.byteLength === 20 + view.getInt32(12) * (4 + elementBytes);
}

// array_send: int32 dimensions, flags, element type, then length and lower bound of the one
// dimension; each element is an int32 byte count and big-endian bytes. An empty array has no
// dimension.
function opened(bytes: Uint8Array): { view: DataView; length: number; stride: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getInt32(0) === 0) return { view, length: 0, stride: 0 };
  return { view, length: view.getInt32(12), stride: 4 + view.getInt32(20) };
}
