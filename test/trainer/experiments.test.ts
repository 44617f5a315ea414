// The made-up images and the arms that experiments compare: what a table of results claims about
// them holds before any network sees one.

import { expect, test } from 'vitest';
import { adaptiveArm } from '../../trainer/experiments/adaptive.ts';
import type { Arm } from '../../trainer/experiments/arms.ts';
import { hippocampusFlags } from '../../trainer/experiments/hippocampus-flags.ts';
import { ambiguousCases } from '../../trainer/experiments/prevalence.ts';
import { rarityArms, ringCases } from '../../trainer/experiments/rare.ts';
import { seedsOf } from '../../trainer/experiments/trials.ts';

const cases = ringCases(1, 400, 12);
const kindOf = new Map(cases.map(({ id, hidden }) => [id, hidden]));
const arms = Object.fromEntries(rarityArms(cases, 'ring').map((arm) => [arm.name, arm]));

const ringsIn = ({ plan }: Arm, draws: number) =>
  plan({ seed: 1, epoch: 0, drawsPerEpoch: draws }).filter((id) => kindOf.get(id) === 'ring')
    .length;

test('three in a hundred images have a ring, and a ring is the only rare class', () => {
  expect(cases.filter(({ hidden }) => hidden === 'ring')).toHaveLength(12);
  for (const { labels, hidden } of cases) {
    expect(labels.includes(2)).toBe(hidden === 'ring');
    expect(labels.includes(1)).toBe(true);
  }
  expect(ringCases(1, 400, 12)[7]).toEqual(cases[7]);
  expect(ringCases(2, 400, 12)[7]).not.toEqual(cases[7]);
});

/** How often each ring is drawn, at least and at most. */
function rangeOf({ plan }: Arm, draws: number): [number, number] {
  const counts = new Map(cases.filter(({ hidden }) => hidden === 'ring').map(({ id }) => [id, 0]));
  for (const id of plan({ seed: 1, epoch: 0, drawsPerEpoch: draws })) {
    if (counts.has(id)) counts.set(id, counts.get(id)! + 1);
  }
  return [Math.min(...counts.values()), Math.max(...counts.values())];
}

test('arms draw rings as often as they say, systematic ones evenly, independent ones roughly', () => {
  expect(rangeOf(arms.uniform, 4000)).toEqual([10, 10]);
  // 4000 x 0.5 / 12 = 166.7, and 4000 x 10 / 508 = 78.7
  expect(rangeOf(arms.capped, 4000)).toEqual([166, 167]);
  expect(rangeOf(arms.corrected, 4000)).toEqual([166, 167]);
  expect(rangeOf(arms['moved target'], 4000)).toEqual([78, 79]);
  const [least, most] = rangeOf(arms.naive, 4000);
  expect(most - least).toBeGreaterThan(10);
  expect(Math.abs(ringsIn(arms.naive, 4000) - 2000)).toBeLessThan(5 * Math.sqrt(4000 / 4));
});

test('only correction gives factors other than 1, and they undo the draws', () => {
  const [ring, solid] = ['ring', 'solid'].map((kind) => cases.find((one) => one.hidden === kind)!);
  for (const name of ['uniform', 'naive', 'capped', 'moved target']) {
    expect(arms[name].lossFactorOf(ring.id)).toBeCloseTo(1, 12);
    expect(arms[name].lossFactorOf(solid.id)).toBeCloseTo(1, 12);
  }
  expect(arms.corrected.lossFactorOf(ring.id)).toBeCloseTo(0.03 / 0.5, 12);
  expect(arms.corrected.lossFactorOf(solid.id)).toBeCloseTo(0.97 / 0.5, 12);
});

test('one in five ambiguous lesions is rare, all rings are, and no solid one', () => {
  const many = ambiguousCases(1, 400);
  const count = (hidden: string, kind: string) =>
    many.filter((one) => one.hidden === hidden && one.attributes.kind === kind).length;
  expect([count('ring', 'rare'), count('ring', 'common')]).toEqual([32, 0]);
  expect([count('shaded', 'rare'), count('shaded', 'common')]).toEqual([5, 20]);
  expect([count('solid', 'rare'), count('solid', 'common')]).toEqual([0, 343]);
});

test('adaptive draws move to the cases with the largest losses, a limited step at a time', () => {
  const arm = adaptiveArm('adaptive', cases, 1);
  const hard = cases.filter(({ hidden }) => hidden === 'ring').map(({ id }) => id);
  const losses = new Map(
    cases.map(({ id }) => [id, { sum: hard.includes(id) ? 2 : 0.5, draws: 1 }]),
  );
  const shares: number[] = [];
  for (let epoch = 0; epoch < 4; epoch++) {
    shares.push(ringsIn(arm, 4000) / 4000);
    arm.epochEnd(epoch, losses);
  }
  expect(shares[0]).toBe(0.03);
  for (const [k, share] of shares.entries()) {
    if (k === 0) continue;
    const moved = share - shares[k - 1];
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThanOrEqual(0.2 + 12 / 4000);
  }
  // Corrected: the drawn share of rings times their factor is what it was at first.
  expect(ringsIn(arm, 40_000) / 40_000).toBeGreaterThan(0.3);
  expect((ringsIn(arm, 40_000) / 40_000) * arm.lossFactorOf(hard[0])).toBeCloseTo(0.03, 3);
});

test('flags become settings of a job, and what is wrong with them is said', () => {
  const { settings, budget, marks } = hippocampusFlags(
    '--data d --minutes 2 --marks 1 --features 4,8 --lr 0.01 --patch 8,16,16'.split(' '),
  );
  expect(settings).toMatchObject({ features: [4, 8], learningRate: 0.01, patch: [8, 16, 16] });
  expect({ budget, marks }).toEqual({ budget: { seconds: 120 }, marks: [60] });
  expect(() => hippocampusFlags([])).toThrow('--data DIR');
  expect(() => hippocampusFlags(['--data', 'd', '--lr', 'fast'])).toThrow('--lr takes a number');
  expect(() => hippocampusFlags(['--data', 'd', '--lr', '-1'])).toThrow();
  expect(seedsOf('101..103')).toEqual([101, 102, 103]);
  expect(seedsOf('1,4')).toEqual([1, 4]);
  expect(() => seedsOf('one')).toThrow('--seeds');
});
