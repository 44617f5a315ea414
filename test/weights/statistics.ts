// A G-test against exact expectations, for the statistical claims of METHOD.md section 11.

/** The G statistic of observed counts against expected ones: 2 sum O ln(O/E). */
export function gStatistic(observed: ArrayLike<number>, expected: ArrayLike<number>): number {
  let sum = 0;
  for (let k = 0; k < observed.length; k++) {
    if (observed[k] > 0) sum += observed[k] * Math.log(observed[k] / expected[k]);
  }
  return 2 * sum;
}

/** The value that chi-squared passes with probability 1e-6 (Wilson and Hilferty, 1931). */
export function chiSquaredLimit(degrees: number): number {
  const normal = 4.753424;
  const step = 2 / (9 * degrees);
  return degrees * (1 - step + normal * Math.sqrt(step)) ** 3;
}
