// The draw ledger (METHOD.md section 6): ids in plan order, each followed by a newline.

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLedger, ledgerDigest } from '../../api/weights/ledger.ts';

const hashed = (text: string) => `sha256:${createHash('sha256').update(text).digest('hex')}`;

describe('ledgerDigest', () => {
  test('is SHA-256 over the ids, each followed by a newline', () => {
    const ids = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { maxLength: 30 });
    fc.assert(
      fc.property(ids, (drawn) => {
        expect(ledgerDigest(drawn)).toBe(hashed(drawn.map((id) => `${id}\n`).join('')));
      }),
    );
  });

  test('of nothing is the hash of nothing', () => {
    expect(ledgerDigest([])).toBe(hashed(''));
  });

  test('tells order, repeats and the borders of ids apart', () => {
    const digests = [['a', 'b'], ['b', 'a'], ['a', 'a', 'b'], ['ab'], ['a']].map(ledgerDigest);
    expect(new Set(digests).size).toBe(5);
  });
});

describe('a growing ledger', () => {
  test('may be asked after every draw without changing what follows', () => {
    const ledger = createLedger();
    const drawn: string[] = [];
    for (const id of ['a', 'b', 'a', 'c\u00e9']) {
      ledger.add(id);
      drawn.push(id);
      expect(ledger.digest()).toBe(ledgerDigest(drawn));
    }
  });

  test('holds past its buffer', () => {
    const ids = Array.from({ length: 3_000 }, (_, k) => `${k}-${'\u{1d400}'.repeat(40)}`);
    expect(ledgerDigest(ids)).toBe(hashed(`${ids.join('\n')}\n`));
  });
});
