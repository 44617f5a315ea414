// Subjects on both sides of a fold, against the definition said in the plainest way.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dividedSubjects, newSubjects } from '../../api/services/subjects.ts';

const subjectsOf = (names: (string | undefined)[]) => {
  const subjects = newSubjects();
  names.forEach((name, ordinal) => {
    subjects.add(ordinal, name);
  });
  return subjects;
};

/** A fold as it is stored. */
const typed = ({ fold, train, val }: { fold: number; train: number[]; val: number[] }) => ({
  fold,
  train: Int32Array.from(train),
  val: Int32Array.from(val),
});

test('finds exactly the subjects that have cases on both sides, with all of them', () => {
  const one = fc.record({
    name: fc.option(fc.constantFrom('p1', 'p2', 'p3', '', '__proto__'), { nil: undefined }),
    sides: fc.array(fc.constantFrom('train', 'val', 'none'), { minLength: 2, maxLength: 2 }),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 30 }), (cases) => {
      const subjects = subjectsOf(cases.map(({ name }) => name));
      const onSide = (fold: number, side: string) =>
        [...cases.keys()].filter((ordinal) => cases[ordinal].sides[fold] === side);
      const folds = [0, 1].map((fold) => ({
        fold,
        train: onSide(fold, 'train'),
        val: onSide(fold, 'val'),
      }));
      const found = dividedSubjects(folds.map(typed), subjects, 100).map(
        ({ subject, ...divided }) => ({
          name: subjects.names[subject],
          ...divided,
        }),
      );
      const expected = folds.flatMap(({ fold, train, val }) =>
        [...new Set(val.map((ordinal) => cases[ordinal].name))]
          .filter((name) => name !== undefined)
          .map((name) => {
            const of = (side: number[]) => side.filter((ordinal) => cases[ordinal].name === name);
            return { name, fold, train: of(train), val: of(val) };
          })
          .filter((divided) => divided.train.length > 0),
      );
      expect(found).toEqual(expected);
    }),
  );
});

test('cases without a subject are of nobody in common', () => {
  const subjects = subjectsOf([undefined, undefined, 'p']);
  expect(dividedSubjects([typed({ fold: 0, train: [0], val: [1, 2] })], subjects, 100)).toEqual([]);
  expect(subjects.of(99_999)).toBe(-1);
});

test('keeps subjects of ordinals far apart, and stops at the limit', () => {
  const subjects = newSubjects();
  const far = Array.from({ length: 50 }, (_, k) => k * 3_001);
  for (const ordinal of far) subjects.add(ordinal, `p${(ordinal / 3_001) % 25}`);
  const folds = [{ fold: 0, train: far.slice(0, 25), val: far.slice(25) }];
  expect(dividedSubjects(folds.map(typed), subjects, 100)).toHaveLength(25);
  expect(dividedSubjects(folds.map(typed), subjects, 10)).toHaveLength(10);
});
