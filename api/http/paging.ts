// Cursors: the last item's key, base64url, so that a client cannot mistake it for a number.

import { largestInteger } from '../contract/shared.ts';
import { ProblemError } from '../errors.ts';

export function encodeCursor(key: string | number): string {
  const bytes = new TextEncoder().encode(String(key));
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

const notMadeHere = (cause?: unknown) =>
  new ProblemError(
    'invalid-request',
    'The cursor was not made here: pass nextCursor of the page before as it is.',
    { cause },
  );

export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  const key = decoded(cursor);
  // No key has a zero character, and Postgres takes none in a text.
  if (key.includes('\0')) throw notMadeHere();
  return key;
}

function decoded(cursor: string): string {
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder('utf-8', { fatal: true }).decode(
      Uint8Array.from(binary, (character) => character.charCodeAt(0)),
    );
  } catch (cause) {
    throw notMadeHere(cause);
  }
}

/** The cursor of a list that is ordered by a number from 0 that a column of 32 bits holds. */
export function decodeNumberCursor(cursor: string | undefined): number | undefined {
  const key = decodeCursor(cursor);
  if (key === undefined) return undefined;
  const number = Number(key);
  if (!/^\d+$/.test(key) || number > largestInteger) throw notMadeHere();
  return number;
}

/**
 * The cursor of a list whose order changes with time: the moment as of which the first page was
 * read, and how many items came before.
 */
export function decodeMomentCursor(
  cursor: string | undefined,
): { at: Date; offset: number } | undefined {
  const key = decodeCursor(cursor);
  if (key === undefined) return undefined;
  const [, moment, count] = /^(\d{4}-[\d:.TZ-]{19}) (\d{1,10})$/.exec(key) ?? [];
  const at = new Date(moment);
  const offset = Number(count);
  if (!(at.getTime() >= 0) || !(offset <= largestInteger)) throw notMadeHere();
  return { at, offset };
}

/** One page of such a list. */
export function momentPage<Item>(
  items: Item[],
  { at, offset, limit }: { at: Date; offset: number; limit: number },
) {
  const keyOf = () => `${at.toISOString()} ${offset + limit}`;
  return page(items, { limit, keyOf, show: (item) => item });
}

/** One page of a list that was read with one item more than the limit. */
export function page<Item, Shown>(
  items: Item[],
  {
    limit,
    keyOf,
    show,
  }: { limit: number; keyOf: (item: Item) => string | number; show: (item: Item) => Shown },
): { items: Shown[]; nextCursor: string | null } {
  const shown = items.slice(0, limit);
  const more = items.length > limit;
  return {
    items: shown.map(show),
    nextCursor: more ? encodeCursor(keyOf(shown[shown.length - 1])) : null,
  };
}
