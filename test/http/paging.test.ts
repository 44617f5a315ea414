// Cursors: what they hold, and that a made-up one is the caller's fault and not ours.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeCursor, decodeNumberCursor, encodeCursor, page } from '../../api/http/paging.ts';

const base64url = /^[A-Za-z0-9_-]*$/;

describe('a cursor', () => {
  test('gives back any key that a list can have', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (key) => {
        fc.pre(!key.includes('\0'));
        const cursor = encodeCursor(key);
        expect(cursor).toMatch(base64url);
        expect(decodeCursor(cursor)).toBe(key);
      }),
    );
  });

  test('gives back a number', () => {
    expect(decodeNumberCursor(encodeCursor(0))).toBe(0);
    expect(decodeNumberCursor(encodeCursor(2 ** 31 - 1))).toBe(2 ** 31 - 1);
    expect(decodeNumberCursor(undefined)).toBeUndefined();
  });

  test.each(['%%', 'ä', btoa('\xff\xfe'), encodeCursor('a\0b')])('is refused: %s', (cursor) => {
    expect(() => decodeCursor(cursor)).toThrow('was not made here');
  });

  test.each(['abc', '', '-1', '1.5', '1e3', '0x10', ' 1', '2147483648', 'NaN'])(
    'of a numbered list is refused when it holds "%s"',
    (key) => {
      expect(() => decodeNumberCursor(encodeCursor(key))).toThrow('was not made here');
    },
  );
});

describe('a page', () => {
  const options = { limit: 2, keyOf: (item: number) => item, show: (item: number) => `${item}` };

  test('of fewer items than the limit, or as many, is the last one', () => {
    expect(page([], options)).toEqual({ items: [], nextCursor: null });
    expect(page([4, 5], options)).toEqual({ items: ['4', '5'], nextCursor: null });
  });

  test('drops the item that was read only to see whether there is more', () => {
    expect(page([4, 5, 6], options)).toEqual({
      items: ['4', '5'],
      nextCursor: encodeCursor(5),
    });
  });
});
