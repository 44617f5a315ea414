// What an adaptive child knows of the cases: averages, the mean for those hardly seen, the digest.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { evidenceColumn, evidenceDigest, foldedEvidence } from '../../api/weights/case-evidence.ts';

const ids = ['a', 'b', 'c'];
const reported = (lines: Record<string, [number, number]>) =>
  new Map(Object.entries(lines).map(([id, [loss, seen]]) => [id, { loss, seen }]));

test('the first report of a case counts whole, later ones by the momentum', () => {
  const first = foldedEvidence(null, {
    ids,
    reported: reported({ a: [2, 3], b: [1, 1], elsewhere: [9, 9] }),
    momentum: 0.75,
  });
  expect([...first.losses]).toEqual([2, 1, 0]);
  expect([...first.seen]).toEqual([3, 1, 0]);
  const second = foldedEvidence(first, {
    ids,
    reported: reported({ a: [4, 2], c: [0.5, 1] }),
    momentum: 0.75,
  });
  expect([...second.losses]).toEqual([2.5, 1, 0.5]);
  expect([...second.seen]).toEqual([5, 1, 1]);
  expect([...first.losses]).toEqual([2, 1, 0]);
});

test('a case seen too seldom has the mean of the others', () => {
  const evidence = { losses: Float64Array.of(2, 9, 4), seen: Float64Array.of(3, 1, 2) };
  expect([...(evidenceColumn(evidence, 2) as Float64Array)]).toEqual([2, 3, 4]);
  expect([...(evidenceColumn(evidence, 1) as Float64Array)]).toEqual([2, 9, 4]);
  expect(evidenceColumn(evidence, 4)).toBe(null);
});

test('the digest is over ids, the bits of losses, and counts', () => {
  const evidence = { losses: Float64Array.of(1, 0.5, 0), seen: Float64Array.of(3, 1, 0) };
  const text = 'a\t3ff0000000000000\t3\nb\t3fe0000000000000\t1\nc\t0000000000000000\t0\n';
  const digest = createHash('sha256').update(text).digest('hex');
  expect(evidenceDigest(ids, evidence)).toBe(`sha256:${digest}`);
});
