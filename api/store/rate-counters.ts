// Counters of requests that all processes share: for each key the time at which everything that it
// has taken is free again.

import { eq, sql } from 'drizzle-orm';
import { type Orm, rows } from './database.ts';
import { rateCounters } from './schema.ts';

/** Every so many takings of a process, counters that are free again are deleted, some at once. */
const sweepEvery = 1_000;
const sweptAtOnce = 2_000;
const takings = new WeakMap<Orm, number>();

/** Takes from a counter where the burst allows it, in one statement; says when it is free again. */
export async function takeFromCounter(
  orm: Orm,
  { key, now, costMs, burstMs }: { key: string; now: Date; costMs: number; burstMs: number },
): Promise<{ allowed: boolean; freeAt: Date }> {
  await sweepAtTimes(orm, now);
  const at = sql`${now.toISOString()}::timestamptz`;
  const later = (milliseconds: number) => sql`make_interval(secs => ${milliseconds / 1000})`;
  const [taken] = await rows<{ free_at: string | Date }>(
    orm,
    sql`insert into rate_counters as r (key, free_at) values (${key}, ${at} + ${later(costMs)})
      on conflict (key) do update set free_at = greatest(r.free_at, ${at}) + ${later(costMs)}
        where greatest(r.free_at, ${at}) + ${later(costMs)} <= ${at} + ${later(burstMs)}
      returning free_at`,
  );
  if (taken !== undefined) return { allowed: true, freeAt: new Date(taken.free_at) };
  const [known] = await orm.select().from(rateCounters).where(eq(rateCounters.key, key));
  return { allowed: false, freeAt: known?.freeAt ?? now };
}

async function sweepAtTimes(orm: Orm, now: Date): Promise<void> {
  const count = (takings.get(orm) ?? 0) + 1;
  takings.set(orm, count);
  if (count % sweepEvery !== 0) return;
  const free = sql`free_at < ${now.toISOString()}::timestamptz`;
  await orm.execute(sql`delete from rate_counters where ${free} and key in
    (select key from rate_counters where ${free} order by free_at limit ${sweptAtOnce})`);
}
