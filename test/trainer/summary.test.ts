// nnU-Net's figures, worked out by hand.

import { expect, test } from 'vitest';
import { classMetrics, summaryOf, summaryText } from '../../trainer/summary.ts';

const counts = [
  { predicted: 6, truth: 5, both: 4 },
  { predicted: 3, truth: 4, both: 2 },
  { predicted: 0, truth: 0, both: 0 },
];

test('counts what is found, missed and imagined of each class', () => {
  const metrics = classMetrics({ counts, voxels: 9 }, ['1', '2']);
  expect(metrics['1']).toEqual({
    Dice: 4 / 7,
    FN: 2,
    FP: 1,
    IoU: 2 / 5,
    TN: 4,
    TP: 2,
    n_pred: 3,
    n_ref: 4,
  });
  expect(metrics['2'].Dice).toBeNaN();
});

test('a class in neither image leaves the mean alone, and is written as the bare word', () => {
  const there = [counts[0], counts[1], { predicted: 2, truth: 2, both: 1 }];
  const summary = summaryOf(
    [
      { id: 'a', counts, voxels: 9 },
      { id: 'b', counts: there, voxels: 9 },
    ],
    ['1', '2'],
    '.nii.gz',
  );
  expect(summary.mean['2'].Dice).toBe(0.5);
  expect(summary.foreground_mean.Dice).toBeCloseTo((4 / 7 + 0.5) / 2, 12);
  const text = summaryText(summary);
  expect(text).toMatch(/"Dice": NaN/);
  expect(JSON.parse(text.replaceAll('NaN', 'null')).metric_per_case[0]).toMatchObject({
    prediction_file: 'a.nii.gz',
    metrics: { '2': { Dice: null, n_ref: 0 } },
  });
});
