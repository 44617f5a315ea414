// Order of ids, hex of floats, and the digest of a snapshot (METHOD.md section 5).

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { SnapshotHeader } from '../../api/contract/snapshots.ts';
import { inIdOrder } from '../../api/weights/case-table.ts';
import {
  canonicalHeader,
  chunkCases,
  compareIds,
  type DigestInput,
  floatHex,
  runningDigest,
  snapshotDigest,
} from '../../api/weights/digest.ts';
import { caseIds } from './cases.ts';

const header: SnapshotHeader = {
  format: 1,
  dataset: 'hippocampus',
  datasetVersionDigest: `sha256:${'ab'.repeat(32)}`,
  split: 'five-fold',
  fold: 0,
  ruleSetDigest: `sha256:${'cd'.repeat(32)}`,
  floor: 0.2,
  cap: 5,
  temper: 1,
  strength: 1,
  caseCount: 2,
  parentDigest: null,
  evidenceDigest: null,
  cause: 'rules',
};
const small: DigestInput = {
  header,
  ids: ['a', 'b'],
  targetUnits: [1, 2],
  drawUnits: [3, 4],
  lossFactors: [1, 0.5],
};
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest();

describe('compareIds', () => {
  const wild = fc.string({ unit: 'grapheme', maxLength: 8 });
  const edges = fc.string({
    unit: fc.constantFrom(
      'a',
      'b',
      '\u00e9',
      '\ud7ff',
      '\ue000',
      '\uffff',
      '\u{10000}',
      '\u{10ffff}',
    ),
    maxLength: 4,
  });

  test('orders by UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.oneof(wild, edges), fc.oneof(wild, edges), (a, b) => {
        expect(Math.sign(compareIds(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      { numRuns: 2_000 },
    );
  });

  test('puts a letter above U+FFFF last, where plain comparison does not', () => {
    expect('\uff21' < '\u{1d400}').toBe(false);
    expect(compareIds('\uff21', '\u{1d400}')).toBeLessThan(0);
  });

  test('tables are put in that order, columns along with ids', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.oneof(wild, edges)), (ids) => {
        const sorted = inIdOrder({ ids, columns: { same: ids } });
        const bytes = ids.map((id) => Buffer.from(id)).sort(Buffer.compare);
        expect(sorted.ids).toEqual(bytes.map((id) => id.toString()));
        expect(sorted.columns.same).toEqual(sorted.ids);
      }),
    );
  });
});

describe('floatHex', () => {
  test.each([
    [1, '3ff0000000000000'],
    [0.1, '3fb999999999999a'],
    [5, '4014000000000000'],
    [2 ** -1074, '0000000000000001'],
    [-0, '8000000000000000'],
  ])('%d is %s', (value, hex) => {
    expect(floatHex(value)).toBe(hex);
  });

  test('is what Node writes, for any float', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const bytes = Buffer.alloc(8);
        bytes.writeDoubleBE(value);
        expect(floatHex(value)).toBe(bytes.toString('hex'));
      }),
    );
  });
});

describe('snapshotDigest', () => {
  test('is the hash of header, newline and chunk hash, written out', () => {
    const rows = 'a\t1\t3\t3ff0000000000000\nb\t2\t4\t3fe0000000000000\n';
    const text = Buffer.from(`${canonicalHeader(header).trimEnd()}\n`);
    const whole = sha256(Buffer.concat([text, sha256(rows)])).toString('hex');
    expect(snapshotDigest(small)).toBe(`sha256:${whole}`);
  });

  test('writes header keys in order, whatever order they are given in', () => {
    const turned = Object.fromEntries(Object.entries(header).reverse()) as SnapshotHeader;
    expect(canonicalHeader(turned)).toBe(canonicalHeader(header));
    expect(canonicalHeader(header).slice(0, 31)).toBe('{"cap":5,"caseCount":2,"cause":');
  });

  test.each<[string, Partial<DigestInput>]>([
    ['the header', { header: { ...header, fold: 1 } }],
    ['the cause', { header: { ...header, cause: 'ramp' } }],
    ['an id', { ids: ['a', 'c'] }],
    ['the order', { ids: ['b', 'a'] }],
    ['a target', { targetUnits: [2, 1] }],
    ['a draw unit', { drawUnits: [4, 3] }],
    ['the last bit of a factor', { lossFactors: [1, 0.5 + 2 ** -53] }],
  ])('changes with %s', (_, change) => {
    expect(snapshotDigest({ ...small, ...change })).not.toBe(snapshotDigest(small));
  });

  test('takes units as decimal strings too', () => {
    const strings = { targetUnits: ['1', '2'], drawUnits: ['3', '4'] };
    expect(snapshotDigest({ ...small, ...strings })).toBe(snapshotDigest(small));
  });

  test.each([chunkCases - 1, chunkCases, chunkCases + 1, 2 * chunkCases])(
    'of %d cases is the running digest, which may be asked on the way',
    (count) => {
      const ids = caseIds(count);
      const units = Float64Array.from(ids, (_, k) => 2 ** 40 + k);
      const columns = { targetUnits: units, drawUnits: units, lossFactors: units };
      const running = runningDigest(header);
      ids.forEach((id, k) => {
        running.add(id, units[k], units[k], units[k]);
        if (k === 10 || k === chunkCases) {
          running.digest();
          running.chunkDigests();
        }
      });
      expect(running.digest()).toBe(snapshotDigest({ header, ids, ...columns }));
      expect(running.chunkDigests()).toHaveLength(Math.ceil(count / chunkCases));
      const chunks = running
        .chunkDigests()
        .map((digest) => Buffer.from(digest.slice('sha256:'.length), 'hex'));
      const whole = sha256(Buffer.concat([Buffer.from(canonicalHeader(header)), ...chunks]));
      expect(running.digest()).toBe(`sha256:${whole.toString('hex')}`);
    },
  );
});
