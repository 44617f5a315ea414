// Shares of groups against sums written out here; each wrong way of counting is shown to be found.

import { describe, expect, test } from 'vitest';
import { attributeMapSchema } from '../../api/contract/attributes.ts';
import { effectiveTotal, type PlacedNumbers } from '../../api/weights/moves.ts';
import {
  type Grouping,
  groupingFault,
  mostGroups,
  type ShareRow,
  shareCounter,
} from '../../api/weights/shares.ts';
import { wholeUnits } from '../../api/weights/units.ts';

// Five cases: 0, 1, 2 are drawn, 3 validates, 4 is on neither side.
const numbers: PlacedNumbers = {
  order: Int32Array.of(0, 1, 2),
  targetUnits: Float64Array.of(0.25, 0.25, 0.5).map((share) => share * wholeUnits),
  drawUnits: Float64Array.of(0.5, 0.25, 0.25).map((share) => share * wholeUnits),
  lossFactors: Float64Array.of(1, 1, 1),
};
const marks = Uint8Array.of(0, 0, 0, 1);

function rowsOf(
  grouping: Grouping,
  values: unknown[],
  validation: Uint8Array | null = marks,
): ShareRow[] {
  const given = { numbers, effectiveTotal: effectiveTotal(numbers), validation };
  const counter = shareCounter(grouping, given);
  values.forEach((value, ordinal) => {
    counter.add(ordinal, value);
  });
  return counter.rows();
}

const row = (value: string, counts: number[], shares: number[]) => ({
  attribute: 'site',
  value,
  caseCount: counts[0],
  targetShare: shares[0],
  drawShare: shares[1],
  effectiveTargetShare: shares[2],
  validationCount: counts[1],
  validationShare: shares[3],
});

describe('shareCounter', () => {
  test('sums target, draws and effective target of the drawn, and counts the validating', () => {
    expect(rowsOf({ attribute: 'site' }, ['B', 'A', 'B', 'C', 'D'])).toEqual([
      row('A', [1, 0], [0.25, 0.25, 0.25, 0]),
      row('B', [2, 0], [0.75, 0.75, 0.75, 0]),
      row('C', [0, 1], [0, 0, 0, 1]),
    ]);
  });

  test('takes a set of labels as a whole, in any order, and tells empty from missing', () => {
    const rows = rowsOf({ attribute: 'labels' }, [['b', 'a'], [], ['a', 'b'], undefined]);
    expect(rows.map(({ value, caseCount }) => [value, caseCount])).toEqual([
      ['a+b', 2],
      ['missing', 0],
      ['none', 1],
    ]);
  });

  test('puts numbers into bins that hold their lower edge, and orders them by it', () => {
    const rows = rowsOf({ attribute: 'ml', bins: [2, 10] }, [10, 1.99, 2, undefined, 5]);
    expect(
      rows.map(({ value, caseCount, validationCount }) => [value, caseCount, validationCount]),
    ).toEqual([
      ['< 2', 1, 0],
      ['2 to 10', 1, 0],
      ['>= 10', 1, 0],
      ['missing', 0, 1],
    ]);
  });

  test('has null for validation where there is no such side, and no share of an empty one', () => {
    expect(rowsOf({ attribute: 'site' }, ['A', 'A', 'A', 'A'], null)).toMatchObject([
      { caseCount: 3, validationCount: null, validationShare: null },
    ]);
    expect(rowsOf({ attribute: 'site' }, ['A', 'A', 'A', 'A'], Uint8Array.of(0))).toMatchObject([
      { caseCount: 3, validationCount: 0, validationShare: null },
    ]);
  });

  test('refuses an attribute that has a value for nearly every case of many', () => {
    const count = mostGroups + 1;
    const everyone = new Uint8Array(count).fill(1);
    const counter = shareCounter(
      { attribute: 'uid' },
      { numbers, effectiveTotal: 1, validation: everyone },
    );
    for (let k = 0; k < mostGroups; k++) counter.add(k, `u${k}`);
    expect(() => counter.add(mostGroups, 'one more')).toThrow(/"uid" has more than 50000 values/);
    expect(counter.rows()).toHaveLength(mostGroups);
  });
});

test('a grouping is of a declared attribute, and bins are of numbers and of nothing else', () => {
  const attributes = attributeMapSchema.parse({
    site: { type: 'string' },
    age: { type: 'number' },
    flag: { type: 'boolean' },
  });
  const fault = (attribute: string, bins?: number[]) =>
    groupingFault({ attribute, bins }, attributes);
  expect([fault('site'), fault('flag'), fault('age', [1])]).toEqual([null, null, null]);
  expect(fault('sit')).toContain('did you mean "site"?');
  expect(fault('age')).toContain('?by=age&bins=1,10');
  expect(fault('flag', [1])).toContain('is boolean; only numbers have bins');
});
