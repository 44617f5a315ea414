// Cursors: the last item's key, base64url, so that a client cannot mistake it for a number.

import { ProblemError } from '../errors.ts';

export function encodeCursor(key: string | number): string {
  const bytes = new TextEncoder().encode(String(key));
  const base64 = btoa(String.fromCharCode(...bytes));
  return base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export function decodeCursor(cursor: string | undefined): string | undefined {
  if (cursor === undefined) return undefined;
  try {
    const binary = atob(cursor.replaceAll('-', '+').replaceAll('_', '/'));
    return new TextDecoder('utf-8', { fatal: true }).decode(
      Uint8Array.from(binary, (character) => character.charCodeAt(0)),
    );
  } catch (cause) {
    throw new ProblemError(
      'invalid-request',
      'The cursor was not made here: pass nextCursor of the page before as it is.',
      { cause },
    );
  }
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
