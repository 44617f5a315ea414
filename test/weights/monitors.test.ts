// The monitors of METHOD.md section 9 on histories written out by hand, and what holds for all.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { MonitorName } from '../../api/contract/settings.ts';
import { type Point, pointsOfLine, type Range } from '../../api/weights/monitor-history.ts';
import { findingKey, monitorVerdict } from '../../api/weights/monitors.ts';

const stepsPerEpoch = 10;
const at = (epoch: number, attempt = 1) => ({
  attempt,
  epoch,
  step: (epoch + 1) * stepsPerEpoch,
  group: null,
});

/** One value an epoch, from epoch 0. */
const byEpoch = (name: string, values: number[], group: string | null = null): Point[] =>
  values.map((value, epoch) => ({ ...at(epoch), name, value, group }));

const verdict = (
  name: MonitorName,
  points: Point[],
  limits: { threshold: number; patience: number },
) => monitorVerdict(name, { points, ranges: [] }, limits);

const sentences = ({ findings }: { findings: { sentence: string }[] }) =>
  findings.map(({ sentence }) => sentence);

describe('group regression', () => {
  const limits = { threshold: 0.05, patience: 3 };
  const site = (values: number[]) => byEpoch('diceMean', values, 'site=B');

  test('fires once when a group is below its best for three rounds, and says so in numbers', () => {
    const points = [
      ...site([0.6, 0.81, 0.75, 0.75, 0.74, 0.74]),
      ...byEpoch('diceMean', [0.6, 0.7, 0.8, 0.8, 0.8, 0.8], 'site=A'),
    ];
    const found = verdict('groupRegression', points, limits);
    expect(found).toEqual({
      value: expect.closeTo(0.07),
      fired: true,
      findings: [
        {
          subject: 'site=B',
          step: 50,
          epoch: 4,
          value: expect.closeTo(0.07),
          rounds: 3,
          sentence:
            'Dice of group site=B fell from 0.81 (epoch 1) to 0.74 (epoch 4), 0.07 below its best; over the threshold of 0.05 for 3 rounds',
        },
      ],
    });
  });

  test('does not fire where the fall is exactly the threshold, or is over before the third round', () => {
    expect(verdict('groupRegression', site([0.81, 0.76, 0.76, 0.76]), limits).findings).toEqual([]);
    const passing = site([0.8, 0.7, 0.7, 0.79, 0.7, 0.7]);
    expect(verdict('groupRegression', passing, limits)).toMatchObject({
      fired: false,
      findings: [],
    });
  });

  test('is armed again by a round above the limit', () => {
    const twice = site([0.8, 0.7, 0.7, 0.7, 0.7, 0.78, 0.7, 0.7, 0.7]);
    const { findings } = verdict('groupRegression', twice, limits);
    expect(findings.map(({ epoch }) => epoch)).toEqual([3, 8]);
  });

  test('looks at groups only, and at nothing where none is reported', () => {
    const overall = byEpoch('diceMean', [0.9, 0.1, 0.1, 0.1]);
    expect(verdict('groupRegression', overall, limits)).toEqual({
      value: null,
      fired: false,
      findings: [],
    });
  });
});

describe('calibration drift', () => {
  test('fires when the volume ratio leaves 0.8 to 1.25, on either side, and again after a return', () => {
    const points = byEpoch('volumeRatio', [1.25, 0.8, 1.31, 1.4, 1, 0.62]);
    const found = verdict('calibrationDrift', points, { threshold: 1.25, patience: 1 });
    expect(sentences(found)).toEqual([
      'predicted foreground volume is 1.31 times the true one (epoch 2), outside 0.8 to 1.25 in 1 round',
      'predicted foreground volume is 0.62 times the true one (epoch 5), outside 0.8 to 1.25 in 1 round',
    ]);
    expect(found.value).toBe(0.62);
  });

  test('does not fire for a group, nor before its patience is over', () => {
    const limits = { threshold: 1.25, patience: 2 };
    const group = byEpoch('volumeRatio', [2, 2, 2], 'site=A');
    expect(verdict('calibrationDrift', group, limits).findings).toEqual([]);
    const once = byEpoch('volumeRatio', [2, 1, 2, 1]);
    expect(verdict('calibrationDrift', once, limits).findings).toEqual([]);
  });
});

describe('overfit of the cases that are drawn most', () => {
  const limits = { threshold: 0.2, patience: 2 };
  const losses = (name: string, decile: number, values: number[]) =>
    byEpoch(name, values, `scoreDecile=${decile}`);
  const bottom = [
    ...losses('caseLoss', 0, [0.5, 0.4, 0.4]),
    ...losses('validationLoss', 0, [0.55, 0.5, 0.5]),
  ];

  test('fires when the gap of the top decile is larger by more than the threshold', () => {
    const points = [
      ...losses('validationLoss', 9, [0.6, 0.7, 0.8]),
      ...losses('caseLoss', 9, [0.5, 0.3, 0.2]),
      ...bottom,
    ];
    const found = verdict('sampledCaseOverfit', points, limits);
    expect(sentences(found)).toEqual([
      'validation loss is above training loss by 0.6 in score decile 9 and by 0.1 in decile 0 (epoch 2): the gap of what is drawn most is larger by 0.5, over the threshold of 0.2 for 2 rounds',
    ]);
    expect(found.findings[0]).toMatchObject({ value: expect.closeTo(0.5), step: 30, rounds: 2 });
  });

  test('does not fire where both deciles overfit alike', () => {
    const points = [
      ...losses('caseLoss', 9, [0.5, 0.3, 0.1]),
      ...losses('validationLoss', 9, [0.6, 0.9, 0.9]),
      ...losses('caseLoss', 0, [0.5, 0.2, 0.1]),
      ...losses('validationLoss', 0, [0.6, 0.8, 0.9]),
    ];
    expect(verdict('sampledCaseOverfit', points, limits).findings).toEqual([]);
  });

  test('says nothing where only one decile has cases on both sides', () => {
    const points = [...bottom, ...losses('caseLoss', 9, [0.1, 0.1, 0.1])];
    expect(verdict('sampledCaseOverfit', points, limits).value).toBeNull();
  });
});

describe('draw mismatch', () => {
  const range = (epoch: number, matches: boolean, attempt = 1): Range => ({
    attempt,
    epoch,
    from: 0,
    draws: 8,
    matches,
  });
  const of = (ranges: Range[], limits = { threshold: 1, patience: 1 }) =>
    monitorVerdict('drawMismatch', { points: [], ranges }, limits);

  test('fires at the first range that is not the plan, once for a run of them', () => {
    const ranges = [range(0, true), range(1, false), range(2, false), range(3, true)];
    expect(of(ranges)).toEqual({
      value: 0,
      fired: false,
      findings: [
        {
          subject: 'draws 0 to 7 of attempt 1',
          step: null,
          epoch: 1,
          value: 1,
          rounds: 1,
          sentence:
            "draws 0 to 7 of attempt 1 are not the plan's of epoch 1: the trainer did not draw what the snapshot says",
        },
      ],
    });
  });

  test('counts every attempt for itself', () => {
    const ranges = [range(0, false), range(0, false, 2)];
    const keys = of(ranges).findings.map(findingKey);
    expect(new Set(keys).size).toBe(2);
  });

  test('waits for as many in a row as asked for', () => {
    const ranges = [range(0, false), range(1, false), range(2, false)];
    expect(of(ranges, { threshold: 2, patience: 1 }).findings).toHaveLength(1);
    expect(of(ranges, { threshold: 1, patience: 4 }).findings).toEqual([]);
  });
});

describe('for every history', () => {
  const dice = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 60 });
  const limits = fc.record({
    threshold: fc.constantFrom(0.05, 0.2),
    patience: fc.integer({ min: 1, max: 4 }),
  });

  test('more rounds change nothing that was found before', () => {
    fc.assert(
      fc.property(dice, limits, fc.nat(59), (values, own, cut) => {
        const points = byEpoch(
          'diceMean',
          values.map((value) => value / 20),
          'site=A',
        );
        const before = verdict('groupRegression', points.slice(0, cut), own).findings;
        const after = verdict('groupRegression', points, own).findings;
        expect(after.slice(0, before.length)).toEqual(before);
      }),
    );
  });

  test('between two findings of a group lies a round within the limit', () => {
    fc.assert(
      fc.property(dice, limits, (values, own) => {
        const scores = values.map((value) => value / 20);
        const { findings } = verdict('groupRegression', byEpoch('diceMean', scores, 'site=A'), own);
        const within = (epoch: number) =>
          Math.max(...scores.slice(0, epoch + 1)) - scores[epoch] <= own.threshold + 1e-9;
        findings.slice(1).forEach(({ epoch }, k) => {
          const from = findings[k].epoch as number;
          const between = [...scores.keys()].slice(from + 1, epoch as number);
          expect(between.some(within)).toBe(true);
        });
      }),
    );
  });

  test('an attempt that begins again at a checkpoint finds what an uninterrupted one does', () => {
    fc.assert(
      fc.property(dice, limits, fc.nat(59), fc.nat(59), (values, own, stopped, checkpoint) => {
        const points = byEpoch(
          'diceMean',
          values.map((value) => value / 20),
          'site=A',
        );
        const again = points
          .slice(Math.min(checkpoint, stopped))
          .map((point) => ({ ...point, attempt: 2 }));
        const lost = points.slice(0, stopped).map((point, k) =>
          // What the first attempt reported after the checkpoint was another run's.
          k < Math.min(checkpoint, stopped) ? point : { ...point, value: 1 },
        );
        expect(verdict('groupRegression', [...lost, ...again], own)).toEqual(
          verdict('groupRegression', points, own),
        );
        expect(pointsOfLine([...lost, ...again])).toHaveLength(points.length);
      }),
    );
  });
});
