// From scores to draw probabilities: exact capped proportional allocation (METHOD.md section 4).
// All arithmetic on scores is in logarithms, so 1e-300 and 1e300 may stand side by side.

import { runningSum, sumOf } from './sums.ts';

export type AllocationInput = {
  /** t_i, positive, summing to 1, in id order. */
  target: Float64Array;
  /** Natural logarithm of each score; -Infinity for a score of zero. */
  logScores: Float64Array;
  temper: number;
  floor: number;
  cap: number;
};

/**
 * q_i with floor t_i <= q_i <= cap t_i and sum 1, proportional to t_i s_i^temper between the
 * bounds: the one solution of sum clamp(lambda a_i, e t_i, c t_i) = 1, found by walking its
 * breakpoints.
 */
export function drawProbabilities({
  target,
  logScores,
  temper,
  floor,
  cap,
}: AllocationInput): Float64Array {
  // lambda a_i meets the floor at ln lambda = ln e - temper ln s_i; with ln c it meets the cap.
  const scored = scoredByRatio(logScores, temper);
  const state = lastSegment({ target, scored, floor, cap });
  return filled({ target, floor, cap }, state);
}

type Scored = { order: Uint32Array; logs: Float64Array };

// Cases with a positive score by falling ln(score^temper): the first ones meet their bounds first.
function scoredByRatio(logScores: Float64Array, temper: number): Scored {
  const logs = logScores.map((log) => log * temper);
  const places = new Uint32Array(logs.length);
  let count = 0;
  for (let k = 0; k < logs.length; k++) if (logs[k] > -Infinity) places[count++] = k;
  const order = places.subarray(0, count).sort((a, b) => logs[b] - logs[a] || a - b);
  return { order, logs };
}

type Segment = Scored & { risen: number; capped: number };

// With ln lambda rising, cases leave the floor in `order` and reach the cap in `order`. Between two
// events the sum is e (targets at floor) + c (targets at cap) + lambda (a between): find where it
// is 1.
function lastSegment({
  target,
  scored: { order, logs },
  floor,
  cap,
}: Pick<AllocationInput, 'target' | 'floor' | 'cap'> & { scored: Scored }): Segment {
  const logFloor = Math.log(floor);
  const logCap = Math.log(cap);
  const atFloor = runningSum();
  for (const t of target) atFloor.add(t);
  const atCap = runningSum();
  const between = sumBetween(target, { order, logs });
  let risen = 0;
  let capped = 0;
  while (risen < order.length || capped < order.length) {
    const rises = risen < order.length ? logFloor - logs[order[risen]] : Infinity;
    const caps = capped < order.length ? logCap - logs[order[capped]] : Infinity;
    const event = Math.min(rises, caps);
    const sum = floor * atFloor.value() + cap * atCap.value() + between.times(event);
    if (sum >= 1) break;
    if (rises <= caps) {
      atFloor.add(-target[order[risen++]]);
      between.rise();
    } else {
      atCap.add(target[order[capped++]]);
      between.cap();
    }
  }
  return { order, logs, risen, capped };
}

// The sum of a_k over the cases that left the floor and are not at the cap, a run of `order`, as a
// mantissa and a logarithm. Both ends move towards smaller logs, so rescaling to the largest one
// still inside keeps the mantissa from fading or overflowing.
function sumBetween(target: Float64Array, { order, logs }: Scored) {
  let first = 0;
  let end = 0;
  let top = 0;
  let sum = runningSum();
  const put = (k: number) => sum.add(target[k] * Math.exp(logs[k] - top));
  const rescale = () => {
    top = logs[order[first]];
    sum = runningSum();
    for (let place = first; place < end; place++) put(order[place]);
  };
  return {
    rise: () => {
      end++;
      if (end - first === 1) rescale();
      else put(order[end - 1]);
    },
    cap: () => {
      const k = order[first++];
      sum.add(-target[k] * Math.exp(logs[k] - top));
      if (first < end && top - logs[order[first]] > 30) rescale();
    },
    times: (logLambda: number) =>
      first === end ? 0 : Math.max(0, sum.value()) * Math.exp(logLambda + top),
  };
}

// With the set of bounded cases known, the rest share exactly what is left in proportion to a_i.
function filled(
  { target, floor, cap }: Pick<AllocationInput, 'target' | 'floor' | 'cap'>,
  { order, logs, risen, capped }: Segment,
): Float64Array {
  const q = target.map((t) => floor * t);
  for (let k = 0; k < capped; k++) q[order[k]] = cap * target[order[k]];
  const free = order.subarray(capped, risen);
  const bounded = new Uint8Array(target.length).fill(1);
  for (const k of free) bounded[k] = 0;
  const left = 1 - sumOf(target.length, (k) => (bounded[k] ? q[k] : 0));
  if (free.length > 0) {
    const top = logs[free[0]];
    const total = sumOf(free.length, (k) => target[free[k]] * Math.exp(logs[free[k]] - top));
    for (const k of free) {
      const share = (left * target[k] * Math.exp(logs[k] - top)) / total;
      q[k] = clamp(share, floor * target[k], cap * target[k]);
    }
    return q;
  }
  return left > 1e-15 ? sharedByZeros(q, { target, logs, left, floor, cap }) : q;
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

// Every scored case is at its cap and mass is left: the zero scores share it in proportion to t,
// the limit of tiny scores.
function sharedByZeros(
  q: Float64Array,
  given: Pick<AllocationInput, 'target' | 'floor' | 'cap'> & { logs: Float64Array; left: number },
): Float64Array {
  const { target, logs, left, floor, cap } = given;
  const zeros = sumOf(target.length, (k) => (logs[k] === -Infinity ? target[k] : 0));
  if (zeros === 0) return q;
  const ratio = clamp(floor + left / zeros, floor, cap);
  for (let k = 0; k < q.length; k++) if (logs[k] === -Infinity) q[k] = ratio * target[k];
  return q;
}
