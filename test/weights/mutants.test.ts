// Each important check of the method, and the mistake that it must catch (METHOD.md section 11):
// the product passes every check, and a mutant of the product fails the one that is meant for it.

import { expect, test } from 'vitest';
import { type AllocationInput, drawProbabilities } from '../../api/weights/allocation.ts';
import { drawPlan, type PlanInput } from '../../api/weights/draws.ts';
import { lossFactors } from '../../api/weights/loss-factors.ts';
import { sumOf } from '../../api/weights/sums.ts';
import { probabilityUnits, wholeUnits } from '../../api/weights/units.ts';

/** What can be got wrong between scores and a step of the optimiser. */
type Method = {
  allocate: (input: AllocationInput) => Float64Array;
  factors: (target: Float64Array, draw: Float64Array, strength: number) => Float64Array;
  plan: (input: PlanInput) => Uint32Array;
  batchLoss: (factors: number[], losses: number[]) => number;
};

const product: Method = {
  allocate: drawProbabilities,
  factors: lossFactors,
  plan: drawPlan,
  batchLoss: (factors, losses) =>
    sumOf(losses.length, (k) => factors[k] * losses[k]) / losses.length,
};

const normalised = (values: Float64Array) => {
  const total = sumOf(values.length, (k) => values[k]);
  return values.map((value) => value / total);
};

// 200 cases, one of them with a score far above the others: the example of METHOD.md section 4.
const caseCount = 200;
const target = normalised(Float64Array.from({ length: caseCount }, (_, k) => 1 + (k % 3)));
const logScores = Float64Array.from({ length: caseCount }, (_, k) =>
  k === 7 ? Math.log(1e4) : Math.log(1 + (k % 5)),
);
const bounds = { temper: 1, floor: 0.2, cap: 5 };
const losses = Float64Array.from({ length: caseCount }, (_, k) => 1 + Math.sin(k) + (k % 5));

function snapshotBy({ allocate, factors }: Method, strength: number) {
  const targetUnits = probabilityUnits(target);
  const drawUnits = probabilityUnits(normalised(allocate({ target, logScores, ...bounds })));
  return { targetUnits, drawUnits, factors: factors(targetUnits, drawUnits, strength) };
}

const close = (a: number, b: number) =>
  Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));

function countsAreMq(method: Method): boolean {
  const { drawUnits } = snapshotBy(product, 1);
  const drawsPerEpoch = 1_000;
  const digest = `sha256:${'0'.repeat(64)}`;
  const counts = new Uint32Array(caseCount);
  for (const k of method.plan({ digest, drawUnits, seed: 3, epoch: 0, drawsPerEpoch })) counts[k]++;
  return counts.every(
    (count, k) => Math.abs(count - (drawsPerEpoch * drawUnits[k]) / wholeUnits) < 1,
  );
}

function boundsHold(method: Method): boolean {
  const { targetUnits, drawUnits } = snapshotBy(method, 1);
  return drawUnits.every((units, k) => {
    const ratio = units / targetUnits[k];
    return ratio >= bounds.floor - 1e-9 && ratio <= bounds.cap + 1e-9;
  });
}

function expectationIsTheTargets(method: Method): boolean {
  const { targetUnits, drawUnits, factors } = snapshotBy(method, 1);
  const drawn = sumOf(caseCount, (k) => (drawUnits[k] / wholeUnits) * factors[k] * losses[k]);
  return close(
    drawn,
    sumOf(caseCount, (k) => (targetUnits[k] / wholeUnits) * losses[k]),
  );
}

function strengthIsObeyed(method: Method): boolean {
  return [0, 0.3, 0.5, 1].every((strength) => {
    const { targetUnits, drawUnits, factors } = snapshotBy(method, strength);
    const mean = sumOf(caseCount, (k) => (drawUnits[k] / wholeUnits) * factors[k]);
    const shapes = Array.from(factors, (factor, k) => {
      const power = (targetUnits[k] / drawUnits[k]) ** strength;
      const first = (targetUnits[0] / drawUnits[0]) ** strength;
      return close(factor / factors[0], power / first);
    });
    return close(mean, 1) && shapes.every(Boolean);
  });
}

// The expected loss of a batch of two independent draws, over all pairs of cases.
function batchLossIsUnbiased(method: Method): boolean {
  const { targetUnits, drawUnits, factors } = snapshotBy(product, 1);
  const expected = sumOf(caseCount ** 2, (pair) => {
    const [a, b] = [Math.floor(pair / caseCount), pair % caseCount];
    const chance = (drawUnits[a] / wholeUnits) * (drawUnits[b] / wholeUnits);
    return chance * method.batchLoss([factors[a], factors[b]], [losses[a], losses[b]]);
  });
  return close(
    expected,
    sumOf(caseCount, (k) => (targetUnits[k] / wholeUnits) * losses[k]),
  );
}

const checks = {
  countsAreMq,
  boundsHold,
  expectationIsTheTargets,
  strengthIsObeyed,
  batchLossIsUnbiased,
};

const uniformUnits = probabilityUnits(new Float64Array(caseCount).fill(1 / caseCount));

const mutants: { name: string; caughtBy: keyof typeof checks; method: Partial<Method> }[] = [
  {
    name: 'a uniform sampler',
    caughtBy: 'countsAreMq',
    method: { plan: (input) => drawPlan({ ...input, drawUnits: uniformUnits }) },
  },
  {
    name: 'clipping, then renormalising',
    caughtBy: 'boundsHold',
    method: {
      allocate: ({ target, logScores, floor, cap }) => {
        const q = normalised(target.map((t, k) => t * Math.exp(logScores[k])));
        return normalised(
          q.map((value, k) => Math.min(Math.max(value, floor * target[k]), cap * target[k])),
        );
      },
    },
  },
  {
    name: 'drawn ids off by one',
    caughtBy: 'countsAreMq',
    method: { plan: (input) => drawPlan(input).map((k) => (k + 1) % caseCount) },
  },
  {
    name: 'factors of the next id',
    caughtBy: 'expectationIsTheTargets',
    method: {
      factors: (t, q, strength) => {
        const factors = lossFactors(t, q, strength);
        return factors.map((_, k) => factors[(k + 1) % factors.length]);
      },
    },
  },
  {
    name: "factors divided by their batch's sum",
    caughtBy: 'batchLossIsUnbiased',
    method: {
      batchLoss: (factors, values) =>
        sumOf(values.length, (k) => factors[k] * values[k]) /
        sumOf(factors.length, (k) => factors[k]),
    },
  },
  {
    name: "factors divided by their batch's maximum",
    caughtBy: 'batchLossIsUnbiased',
    method: {
      batchLoss: (factors, values) =>
        product.batchLoss(factors, values) / factors.reduce((a, b) => Math.max(a, b)),
    },
  },
  {
    name: 'the strength ignored',
    caughtBy: 'strengthIsObeyed',
    method: { factors: (t, q) => lossFactors(t, q, 1) },
  },
  {
    name: 'the scale of a partial strength forgotten',
    caughtBy: 'strengthIsObeyed',
    method: { factors: (t, q, strength) => t.map((units, k) => (units / q[k]) ** strength) },
  },
  {
    name: 'no correction at all',
    caughtBy: 'expectationIsTheTargets',
    method: { factors: (t) => new Float64Array(t.length).fill(1) },
  },
  {
    name: 'the factor applied twice',
    caughtBy: 'expectationIsTheTargets',
    method: { factors: (t, q, strength) => lossFactors(t, q, strength).map((w) => w * w) },
  },
  {
    name: 'the factor upside down',
    caughtBy: 'expectationIsTheTargets',
    method: { factors: (t, q, strength) => lossFactors(q, t, strength) },
  },
];

test.each(Object.entries(checks))('the method passes %s', (_, holds) => {
  expect(holds(product)).toBe(true);
});

test.each(mutants)('$name is caught by $caughtBy', ({ caughtBy, method }) => {
  expect(checks[caughtBy]({ ...product, ...method })).toBe(false);
});

test('every check has a mutant that only it is meant to catch', () => {
  expect(new Set(mutants.map(({ caughtBy }) => caughtBy))).toEqual(new Set(Object.keys(checks)));
});
