// The figures of a validation round, worked out by hand on tiny volumes.

import { expect, test } from 'vitest';
import {
  type CaseResult,
  countVoxels,
  evaluationMetrics,
  likeliestClasses,
  summarizeResults,
  volumeLoss,
} from '../../trainer/evaluate.ts';

const classNames = ['background', 'lesion', 'organ'];

const result = (more: Partial<CaseResult>): CaseResult => ({
  id: 'a',
  groups: [],
  scoreDecile: null,
  loss: 1,
  counts: countVoxels([0, 1, 1, 2], [0, 1, 2, 2], 3),
  ...more,
});

test('voxels are counted per class in prediction, truth and both', () => {
  expect(countVoxels([0, 1, 1, 2], [0, 1, 2, 2], 3)).toEqual([
    { predicted: 1, truth: 1, both: 1 },
    { predicted: 2, truth: 1, both: 1 },
    { predicted: 1, truth: 2, both: 1 },
  ]);
});

test('the likeliest class wins at every voxel', () => {
  expect(Array.from(likeliestClasses(Float32Array.of(0.5, 0.3, 0.2, 0.1, 0.2, 0.7), 3))).toEqual([
    0, 2,
  ]);
});

test('the loss of a perfect prediction is zero and of a wrong one is large', () => {
  const perfect = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1);
  expect(volumeLoss(perfect, [0, 1, 2], 3)).toBeCloseTo(0, 6);
  expect(volumeLoss(perfect, [1, 2, 0], 3)).toBeGreaterThan(10);
});

test('the loss of an undecided prediction is log 2 plus one minus the soft Dice', () => {
  const undecided = Float32Array.of(0.5, 0.5, 0.5, 0.5);
  const dice = (2 * 0.5 + 1e-5) / (1 + 1 + 1e-5);
  expect(volumeLoss(undecided, [0, 1], 2)).toBeCloseTo(Math.log(2) + 1 - dice, 6);
});

test('Dice is the mean over cases, and a class absent from both says nothing', () => {
  const none = result({ id: 'b', counts: countVoxels([0, 0, 2, 2], [0, 0, 2, 2], 3) });
  expect(summarizeResults([result({}), none], classNames).dice).toEqual({
    lesion: 2 / 3,
    organ: (2 / 3 + 1) / 2,
    mean: (2 / 3 + (2 / 3 + 1) / 2) / 2,
  });
  const empty = result({ counts: countVoxels([0], [0], 3) });
  expect(summarizeResults([empty], classNames)).toMatchObject({
    dice: { lesion: null, organ: null, mean: null },
    volumeRatio: null,
  });
});

test('a class that is predicted where there is none counts as zero', () => {
  const wrong = result({ counts: countVoxels([1, 0], [0, 0], 3) });
  expect(summarizeResults([wrong], classNames).dice.lesion).toBe(0);
});

test('groups and score deciles have figures of their own', () => {
  const evaluation = summarizeResults(
    [
      result({ groups: ['site=A'], scoreDecile: 9, loss: 2 }),
      result({ groups: ['site=B', 'labels=organ'], scoreDecile: 0, loss: 1 }),
      result({
        groups: ['site=B'],
        scoreDecile: 0,
        loss: 2,
        counts: countVoxels([0, 0], [1, 2], 3),
      }),
    ],
    classNames,
  );
  expect(evaluation.groups).toEqual({
    'labels=organ': { lesion: 2 / 3, organ: 2 / 3, mean: 2 / 3 },
    'site=A': { lesion: 2 / 3, organ: 2 / 3, mean: 2 / 3 },
    'site=B': { lesion: 1 / 3, organ: 1 / 3, mean: 1 / 3 },
  });
  expect(evaluation.volumeRatio).toBe(6 / 8);
  expect(evaluation.groupVolumeRatios['site=B']).toBe(3 / 5);
  expect(evaluation.decileLosses).toEqual({ 'scoreDecile=0': 1.5, 'scoreDecile=9': 2 });
});

test('an evaluation becomes metrics with class and group, without what is unknown', () => {
  const evaluation = summarizeResults(
    [result({ groups: ['site=A'], counts: countVoxels([0, 1], [0, 1], 3) })],
    classNames,
  );
  const at = { step: 4, epoch: 1 };
  expect(evaluationMetrics(evaluation, at)).toEqual([
    { name: 'dice', value: 1, ...at, class: 'lesion' },
    { name: 'diceMean', value: 1, ...at },
    { name: 'volumeRatio', value: 1, ...at },
    { name: 'validationLoss', value: 1, ...at },
    { name: 'dice', value: 1, ...at, group: 'site=A', class: 'lesion' },
    { name: 'diceMean', value: 1, ...at, group: 'site=A' },
    { name: 'volumeRatio', value: 1, ...at, group: 'site=A' },
  ]);
});
