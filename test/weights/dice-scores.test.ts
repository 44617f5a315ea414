// The mean foreground Dice of nnU-Net's summaries, and the case ids in their paths.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { caseIdOfFile, diceScores } from '../../api/weights/dice-scores.ts';

const summaryOf = (cases: Record<string, Record<string, number | null>>) => ({
  metric_per_case: Object.entries(cases).map(([id, dice]) => ({
    prediction_file: `/predictions/${id}.nii.gz`,
    metrics: Object.fromEntries(
      Object.entries(dice).map(([label, value]) => [label, { Dice: value }]),
    ),
  })),
});
const diceOf = (dice: Record<string, number | null>) =>
  diceScores(summaryOf({ a: dice })).scores[0].dice;

describe('the Dice of a case', () => {
  test('is the mean over labels and regions', () => {
    expect(diceOf({ '1': 0.5, '2': 1 })).toBe(0.75);
    expect(diceOf({ '(1, 2)': 0.25, '2': 0.75 })).toBe(0.5);
  });

  test('leaves out the background', () => {
    expect(diceOf({ '0': 0.99, '1': 0.5 })).toBe(0.5);
    expect(diceOf({ '0': 0.99 })).toBeNull();
  });

  test('leaves out labels that are absent, and is missing where all are', () => {
    expect(diceOf({ '1': null, '2': 0.4 })).toBe(0.4);
    expect(diceOf({ '1': null, '2': null })).toBeNull();
    expect(diceOf({ '1': 0, '2': null })).toBe(0);
  });

  test('lies within the range of its labels', () => {
    const one = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 20 }), (values) => {
        const dice = diceOf(Object.fromEntries(values.map((value, k) => [String(k + 1), value])));
        expect(dice).toBeGreaterThanOrEqual(Math.min(...values) - 1e-15);
        expect(dice).toBeLessThanOrEqual(Math.max(...values) + 1e-15);
      }),
    );
  });
});

test.each([-0.1, 1.0001, Number.POSITIVE_INFINITY, 89])(
  'a Dice of %d is a fault that names the case and the label',
  (dice) => {
    const { faults } = diceScores(summaryOf({ a: { '1': 0.5 }, b: { '1': 0.5, '2': dice } }));
    expect(faults).toEqual([
      {
        caseId: 'b',
        pointer: '/metric_per_case/1/metrics/2/Dice',
        detail: expect.stringContaining(`case "b" has a Dice of ${dice} for label 2`),
      },
    ]);
  },
);

test('takes the prediction for the name of the case, and the reference where there is none', () => {
  const metrics = { '1': { Dice: 0.5 } };
  const { scores } = diceScores({
    metric_per_case: [
      { metrics, prediction_file: 'p/a.nii.gz', reference_file: 'r/b.nii.gz' },
      { metrics, reference_file: 'r/c.nii.gz' },
    ],
  });
  expect(scores.map(({ caseId }) => caseId)).toEqual(['a', 'c']);
});

test.each([
  ['/data/fold_0/validation/hippocampus_035.nii.gz', 'hippocampus_035'],
  ['C:\\results\\case 7.NRRD', 'case 7'],
  ['case.01.png', 'case.01'],
  ['case.nii.gz.nii.gz', 'case.nii.gz'],
  ['v1.2', 'v1.2'],
  ['.nii.gz', ''],
])('reads %s as case "%s"', (path, id) => {
  expect(caseIdOfFile(path)).toBe(id);
});
