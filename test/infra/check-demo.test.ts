// What .ci/run asks of a demo's result. Each fault alone must be enough to refuse it.

import { expect, test } from 'vitest';
import { type DemoResult, demoFaults } from '../../infra/node/check-demo.ts';

function goodResult(): DemoResult {
  const job = { state: 'succeeded', seconds: 60, steps: 150, dice: { mean: 0.7, Anterior: 0.7 } };
  const ledger = { verified: 3, partial: 0, mismatch: 0 };
  return {
    seconds: 130,
    backend: 'wasm',
    jobs: [
      { ...job, name: 'uniform', id: 'a', snapshot: 'sha256:1', ledger, effectiveFraction: 1 },
      { ...job, name: 'weighted', id: 'b', snapshot: 'sha256:2', ledger, effectiveFraction: 0.8 },
    ],
  };
}

test('finds nothing wrong with a good result', () => {
  expect(demoFaults(goodResult(), { minDice: 0.6 })).toEqual([]);
});

const mutants: [string, (result: DemoResult) => void, string | string[], number?][] = [
  ['a failed job', (r) => (r.jobs[1].state = 'failed'), 'job weighted ended failed'],
  ['no steps', (r) => (r.jobs[0].steps = 0), 'job uniform did 0 steps'],
  [
    'nothing verified',
    (r) => {
      for (const job of r.jobs) job.ledger = { verified: 0, partial: 0, mismatch: 0 };
    },
    ['job uniform has 0 verified epochs', 'job weighted has 0 verified epochs'],
  ],
  [
    'an epoch whose ledger never came',
    (r) => (r.jobs[0].ledger = { verified: 2, partial: 0, mismatch: 0 }),
    'one job has fewer verified epochs than the other',
  ],
  [
    'a partial epoch',
    (r) => (r.jobs[0].ledger = { verified: 3, partial: 1, mismatch: 0 }),
    'job uniform has 1 epochs that are only partly covered',
  ],
  [
    'a mismatch',
    (r) => (r.jobs[1].ledger = { verified: 3, partial: 0, mismatch: 1 }),
    'job weighted has 1 epochs whose draws are not the planned ones',
  ],
  [
    'low Dice',
    (r) => (r.jobs[1].dice = { mean: 0.59 }),
    'job weighted reached a mean Dice of 0.59, under 0.6',
  ],
  [
    'Dice that is not a number',
    (r) => (r.jobs[1].dice = { mean: Number.NaN }),
    'job weighted reached a mean Dice of NaN, under 0.6',
  ],
  [
    'no Dice at all',
    (r) => (r.jobs[1].dice = { mean: null }),
    'job weighted reached a mean Dice of null, under 0',
    0,
  ],
  ['one job', (r) => r.jobs.shift(), 'there are 1 jobs, not 2'],
  [
    'one snapshot for both',
    (r) => (r.jobs[1].snapshot = r.jobs[0].snapshot),
    'both jobs drew by the same snapshot, so nothing was compared',
  ],
  [
    'two uniform jobs',
    (r) => (r.jobs[1].effectiveFraction = 1),
    'no job drew by anything but uniform probabilities',
  ],
];

test.each(mutants)('refuses %s', (_name, change, faults, minDice = 0.6) => {
  const result = goodResult();
  change(result);
  expect(demoFaults(result, { minDice })).toEqual([faults].flat());
});

test('names every fault of a result without fields instead of failing on it', () => {
  const faults = demoFaults({ jobs: [{ name: 'x' }] } as unknown as DemoResult, { minDice: 0.6 });
  expect(faults).toContain('job x ended undefined');
  expect(faults).toContain('job x has undefined verified epochs');
});
