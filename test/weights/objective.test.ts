// What the correction is for: a model trained on weighted draws ends at the optimum of the target,
// and one without correction ends at the optimum of the draws (METHOD.md sections 2 and 11).

import { describe, expect, test } from 'vitest';
import { drawPlan } from '../../api/weights/draws.ts';
import { sumOf } from '../../api/weights/sums.ts';
import { wholeUnits } from '../../api/weights/units.ts';
import { resolved, ruled, table } from './cases.ts';

// Appearance x says little: one case in eight is a lesion, and they look almost like the others.
const caseCount = 48;
const x = Float64Array.from({ length: caseCount }, (_, k) => ((k * 7) % 16) / 8 - 1);
const lesion = Float64Array.from({ length: caseCount }, (_, k) => (k % 8 === 0 ? 1 : 0));

function snapshot(strength: number) {
  const attributes = { lesion: { type: 'boolean' as const } };
  const rules = {
    sampling: {
      terms: [{ name: 'rare', kind: 'match' as const, when: 'case.lesion', factor: 8 }],
      cap: 8,
    },
    correction: { strength },
  };
  const cases = table({ lesion: Array.from(lesion, (value) => value === 1) });
  return resolved({ cases, ...ruled(attributes, rules) });
}

type Parameters = [bias: number, slope: number];
const predicted = ([bias, slope]: Parameters, k: number) =>
  1 / (1 + Math.exp(-bias - slope * x[k]));

// Newton's method on the convex loss sum shares_k l_k.
function optimum(shares: ArrayLike<number>): Parameters {
  let at: Parameters = [0, 0];
  for (let step = 0; step < 50; step++) {
    const error = (k: number) => shares[k] * (predicted(at, k) - lesion[k]);
    const curve = (k: number) => shares[k] * predicted(at, k) * (1 - predicted(at, k));
    const [g0, g1] = [sumOf(caseCount, error), sumOf(caseCount, (k) => error(k) * x[k])];
    const h00 = sumOf(caseCount, curve);
    const h01 = sumOf(caseCount, (k) => curve(k) * x[k]);
    const h11 = sumOf(caseCount, (k) => curve(k) * x[k] * x[k]);
    const determinant = h00 * h11 - h01 * h01;
    at = [at[0] - (h11 * g0 - h01 * g1) / determinant, at[1] - (h00 * g1 - h01 * g0) / determinant];
  }
  return at;
}

// Stochastic gradient steps on batches of two in plan order, with falling steps.
function trained(drawUnits: Float64Array, factors: ArrayLike<number>): Parameters {
  const at: Parameters = [0, 0];
  let step = 0;
  for (let epoch = 0; epoch < 600; epoch++) {
    const digest = `sha256:${'e'.repeat(64)}`;
    const plan = drawPlan({ digest, drawUnits, seed: 11, epoch, drawsPerEpoch: 96 });
    for (let from = 0; from < plan.length; from += 2) {
      const rate = 4 / (1 + step++ / 40);
      const errors = [plan[from], plan[from + 1]].map(
        (k) => [k, (factors[k] * (predicted(at, k) - lesion[k])) / 2] as const,
      );
      for (const [k, error] of errors) {
        at[0] -= rate * error;
        at[1] -= rate * error * x[k];
      }
    }
  }
  return at;
}

const distance = (a: Parameters, b: Parameters) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const shares = (units: Float64Array) => units.map((value) => value / wholeUnits);

describe('a logistic model trained on weighted draws', () => {
  const corrected = snapshot(1);
  const targetOptimum = optimum(shares(corrected.targetUnits));
  const drawOptimum = optimum(shares(corrected.drawUnits));

  test('has optima under target and draws that are far apart', () => {
    expect(distance(targetOptimum, drawOptimum)).toBeGreaterThan(1);
  });

  test('ends at the optimum of the target with full correction', () => {
    const at = trained(corrected.drawUnits, corrected.lossFactors);
    expect(distance(at, targetOptimum)).toBeLessThan(0.1);
  });

  test('ends at the optimum of the draws without correction', () => {
    const { drawUnits, lossFactors } = snapshot(0);
    expect(distance(trained(drawUnits, lossFactors), drawOptimum)).toBeLessThan(0.1);
  });

  test('ends at the optimum of the effective target with half of the correction', () => {
    const { drawUnits, lossFactors } = snapshot(0.5);
    const effective = shares(drawUnits).map((q, k) => q * lossFactors[k]);
    const between = optimum(effective);
    expect(distance(between, targetOptimum)).toBeGreaterThan(0.3);
    expect(distance(between, drawOptimum)).toBeGreaterThan(0.3);
    expect(distance(trained(drawUnits, lossFactors), between)).toBeLessThan(0.1);
  });
});

// A network with one hidden layer of two units: gradient of the squared error of one case.
const network = [0.3, -0.8, 0.5, 0.1, 1.2, -0.7, 0.05];
function gradientOf(k: number): number[] {
  const [a0, b0, a1, b1, c0, c1, d] = network;
  const hidden = [Math.tanh(a0 * x[k] + b0), Math.tanh(a1 * x[k] + b1)];
  const error = 2 * (c0 * hidden[0] + c1 * hidden[1] + d - lesion[k]);
  const back = [c0, c1].map((c, unit) => error * c * (1 - hidden[unit] ** 2));
  const [p, q] = back;
  return [p * x[k], p, q * x[k], q, error * hidden[0], error * hidden[1], error];
}

test("a small network's expected corrected gradient is the target's, by full enumeration", () => {
  const { targetUnits, drawUnits, lossFactors } = snapshot(1);
  const gradients = Array.from({ length: caseCount }, (_, k) => gradientOf(k));
  const expected = (share: (k: number) => number) =>
    network.map((_, j) => sumOf(caseCount, (k) => share(k) * gradients[k][j]));
  const drawn = expected((k) => (drawUnits[k] / wholeUnits) * lossFactors[k]);
  const meant = expected((k) => targetUnits[k] / wholeUnits);
  const uncorrected = expected((k) => drawUnits[k] / wholeUnits);
  for (const j of network.keys()) {
    expect(Math.abs(drawn[j] - meant[j])).toBeLessThan(1e-12);
  }
  expect(Math.max(...network.map((_, j) => Math.abs(uncorrected[j] - meant[j])))).toBeGreaterThan(
    0.1,
  );
});
