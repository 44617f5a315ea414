// The monitor of steps on losses written out by hand; a window says what the whole history says.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { instability as found, medianWindow, stepsBefore } from '../../api/weights/instability.ts';
import type { Point } from '../../api/weights/monitor-history.ts';

const stepsPerEpoch = 10;

const byStep = (name: string, values: number[]): Point[] =>
  values.map((value, k) => ({
    attempt: 1,
    name,
    value,
    step: k + 1,
    epoch: Math.floor(k / stepsPerEpoch),
    group: null,
  }));

const sentences = ({ findings }: { findings: { sentence: string }[] }) =>
  findings.map(({ sentence }) => sentence);

const limits = { threshold: 5, patience: 1 };
const calm = (count: number) => Array.from({ length: count }, (_, k) => 1 + (k % 3) / 10);

test('fires at a loss, or a gradient norm, over five times its running median', () => {
  const losses = byStep('loss', [...calm(20), 8.8]);
  expect(sentences(found(losses, limits))).toEqual([
    'loss 8.8 at step 21 (epoch 2) is 8 times its median 1.1 over the 50 steps before; threshold 5',
  ]);
  const norms = byStep('gradientNorm', [...calm(20), 8.8]);
  expect(sentences(found(norms, limits))[0]).toMatch(/^gradient norm 8\.8/);
});

test('fires at a step that was not finite, without a median before it', () => {
  const points = [
    ...byStep('loss', [1, 1]),
    { attempt: 1, name: 'nonFinite', value: 1, step: 3, epoch: 0, group: null },
  ];
  expect(found(points, limits).findings).toEqual([
    {
      subject: null,
      step: 3,
      epoch: 0,
      value: null,
      rounds: 1,
      sentence: 'the loss or a gradient was not finite at step 3 (epoch 0); the step was skipped',
    },
  ]);
});

test('fires for skipped steps that only the end of an epoch tells of, and not for none', () => {
  const points = [0, 0, 2].map((value, epoch) => ({
    attempt: 1,
    name: 'skippedSteps',
    value,
    step: (epoch + 1) * 10,
    epoch,
    group: null,
  }));
  expect(sentences(found(points, limits))).toEqual([
    '2 steps were not finite up to step 30 of epoch 2 and skipped',
  ]);
});

test('a burst of spikes is one episode; fifty quiet steps end it', () => {
  const burst = [9, 1, 1, 9, 9, 1];
  const losses = [...calm(20), ...burst, ...calm(medianWindow), 9];
  const { findings } = found(byStep('loss', losses), limits);
  expect(findings.map(({ step }) => step)).toEqual([21, losses.length]);
});

test('does not fire at a loss that rises slowly, nor among the first ten steps', () => {
  const rising = Array.from({ length: 200 }, (_, k) => 1.01 ** k);
  expect(found(byStep('loss', rising), limits).findings).toEqual([]);
  expect(found(byStep('loss', [1, 1, 50]), limits).findings).toEqual([]);
});

test('a window says of its new steps what the whole history says', () => {
  const value = fc.oneof(
    { weight: 12, arbitrary: fc.double({ min: 0.5, max: 1.5, noNaN: true }) },
    { weight: 1, arbitrary: fc.constant(20) },
  );
  const losses = fc.array(value, { minLength: 150, maxLength: 400 });
  const patience = fc.integer({ min: 1, max: 3 });
  fc.assert(
    fc.property(losses, patience, fc.integer({ min: 1, max: 40 }), (values, count, added) => {
      const own = { threshold: 5, patience: count };
      const points = byStep('loss', values);
      const first = values.length - added;
      const isNew = ({ step }: { step: number | null }) => (step as number) > first;
      const window = points.slice(Math.max(0, first - stepsBefore(own)));
      expect(found(window, own).findings.filter(isNew)).toEqual(
        found(points, own).findings.filter(isNew),
      );
    }),
    { numRuns: 60 },
  );
});
