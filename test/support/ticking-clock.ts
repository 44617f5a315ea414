// A clock for runs of the trainer: no test waits.

import type { Clock } from '../../trainer/report.ts';

/** Time that passes a second with every look, and sleeps that take none. */
export function tickingClock(): Clock {
  let now = 0;
  return {
    now: () => {
      now += 1000;
      return now;
    },
    sleep: async (ms) => {
      now += ms;
    },
    every: () => () => {},
    random: () => 0.5,
  };
}
