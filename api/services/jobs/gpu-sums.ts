// GPU hours as sums over attempts: pure functions of what a target's attempts did and may still do.

import type { Resources } from '../../contract/settings.ts';
import type { GpuUse } from '../../store/gpu-hours.ts';

/** The limit is over so long, ending now. */
export const windowMs = 86_400_000;
const hourMs = 3_600_000;

function usedMs({ gpus, startedAt, endedAt }: GpuUse, now: Date, at = now): number {
  if (startedAt === null) return 0;
  const from = Math.max(startedAt.getTime(), at.getTime() - windowMs);
  return gpus * Math.max(0, (endedAt ?? now).getTime() - from);
}

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

/** GPU hours that were used in the window that ends now. */
export function usedHours(uses: GpuUse[], now: Date): number {
  return sum(uses.map((use) => usedMs(use, now))) / hourMs;
}

/** The most GPU hours that one attempt can use in any window. */
export function hoursOfOne({ gpus, timeoutSeconds }: Pick<Resources, 'gpus' | 'timeoutSeconds'>) {
  return (gpus.count * Math.min(timeoutSeconds * 1000, windowMs)) / hourMs;
}

/**
 * GPU hours that count against the limit: what ended attempts have used, and the most that each
 * launched one can use, whether it runs yet or not.
 */
export function countedHours(uses: GpuUse[], now: Date): number {
  const hours = uses.map((use) => {
    const used = usedMs(use, now) / hourMs;
    if (use.endedAt !== null) return used;
    const { gpus, timeoutSeconds } = use;
    return Math.max(used, hoursOfOne({ gpus: { count: gpus }, timeoutSeconds }));
  });
  return sum(hours);
}

/** The first second at which fewer hours than the limit are used, if nothing runs from now on. */
export function roomAt(uses: GpuUse[], { limit, now }: { limit: number; now: Date }): Date {
  const after = (seconds: number) => new Date(now.getTime() + seconds * 1000);
  const hasRoom = (at: Date) => sum(uses.map((use) => usedMs(use, now, at))) / hourMs < limit;
  let [full, free] = [-1, windowMs / 1000];
  while (free - full > 1) {
    const between = Math.floor((full + free) / 2);
    if (hasRoom(after(between))) free = between;
    else full = between;
  }
  return after(free);
}

/** Hours as a sentence shows them. */
export const shownHours = (hours: number) => String(Number(hours.toFixed(2)));
