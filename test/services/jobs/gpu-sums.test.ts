// GPU hours as sums: properties of the pure functions, and numbers done by hand.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countedHours,
  hoursOfOne,
  roomAt,
  shownHours,
  usedHours,
} from '../../../api/services/jobs/gpu-sums.ts';
import type { GpuUse } from '../../../api/store/gpu-hours.ts';

const now = new Date('2026-03-10T12:00:00Z');
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
const use = (given: Partial<GpuUse>): GpuUse => ({
  target: 'gpus',
  gpus: 1,
  timeoutSeconds: 86_400,
  startedAt: null,
  endedAt: null,
  ...given,
});

describe('of one attempt', () => {
  test.each([
    ['ended within the day', { startedAt: hoursAgo(5), endedAt: hoursAgo(2) }, 3, 3],
    ['on four GPUs', { gpus: 4, startedAt: hoursAgo(5), endedAt: hoursAgo(2) }, 12, 12],
    ['that began before the day', { startedAt: hoursAgo(30), endedAt: hoursAgo(20) }, 4, 4],
    ['that ended before the day', { startedAt: hoursAgo(50), endedAt: hoursAgo(30) }, 0, 0],
    ['that runs', { startedAt: hoursAgo(2), timeoutSeconds: 18_000 }, 2, 5],
    ['that runs for days', { startedAt: hoursAgo(100), timeoutSeconds: 900_000 }, 24, 24],
    ['that is past its time', { startedAt: hoursAgo(3), timeoutSeconds: 3_600 }, 3, 3],
    ['that its engine queues', { gpus: 2, timeoutSeconds: 7_200 }, 0, 4],
  ] as const)('%s', (_, given, used, counted) => {
    expect(usedHours([use(given)], now)).toBeCloseTo(used, 9);
    expect(countedHours([use(given)], now)).toBeCloseTo(counted, 9);
  });
});

test('hours are shown with two decimals at most', () => {
  expect([24, 23.456, 0.5].map(shownHours)).toEqual(['24', '23.46', '0.5']);
});

const anyUse = fc
  .record({
    gpus: fc.integer({ min: 1, max: 8 }),
    begins: fc.integer({ min: -200_000, max: 0 }),
    lasts: fc.integer({ min: 0, max: 200_000 }),
    timeoutSeconds: fc.integer({ min: 1, max: 200_000 }),
    state: fc.constantFrom('ended', 'runs', 'queued'),
  })
  .map(({ gpus, begins, lasts, timeoutSeconds, state }): GpuUse => {
    const at = (seconds: number) => new Date(now.getTime() + seconds * 1000);
    if (state === 'queued') return use({ gpus, timeoutSeconds });
    const endedAt = state === 'ended' ? at(Math.min(begins + lasts, 0)) : null;
    return use({ gpus, timeoutSeconds, startedAt: at(begins), endedAt });
  });
const anyUses = fc.array(anyUse, { maxLength: 12 });

/** The same use seen later: what is live goes on until its time is up. */
const seenAt = (one: GpuUse, later: Date): GpuUse => {
  if (one.endedAt !== null) return one;
  const startedAt = one.startedAt ?? now;
  const over = Math.max(startedAt.getTime() + one.timeoutSeconds * 1000, now.getTime());
  return { ...one, startedAt, endedAt: new Date(Math.min(over, later.getTime())) };
};

test('what counts is never passed in any later day by attempts that keep to their time', () => {
  fc.assert(
    fc.property(anyUses, fc.integer({ min: 0, max: 300_000 }), (uses, seconds) => {
      const later = new Date(now.getTime() + seconds * 1000);
      const used = usedHours(
        uses.map((one) => seenAt(one, later)),
        later,
      );
      expect(used).toBeLessThanOrEqual(countedHours(uses, now) + 1e-9);
    }),
  );
});

test('there is room in the first second in which less than the limit is used', () => {
  fc.assert(
    fc.property(anyUses, fc.integer({ min: 1, max: 100 }), (uses, tenths) => {
      const limit = tenths / 10;
      const stopped = uses.map((one) => ({ ...one, endedAt: one.endedAt ?? now }));
      const room = roomAt(uses, { limit, now });
      expect(usedHours(stopped, room)).toBeLessThan(limit);
      const before = new Date(room.getTime() - 1000);
      if (before >= now) expect(usedHours(stopped, before)).toBeGreaterThanOrEqual(limit);
    }),
  );
});

test('no window holds more of one attempt than a day of its GPUs', () => {
  expect(hoursOfOne({ gpus: { count: 3 }, timeoutSeconds: 900_000 })).toBe(72);
  expect(hoursOfOne({ gpus: { count: 3 }, timeoutSeconds: 1_800 })).toBe(1.5);
});
