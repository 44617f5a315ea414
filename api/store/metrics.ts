// Metrics of jobs, in the order of their arrival.

import { and, asc, desc, eq, gt, inArray } from 'drizzle-orm';
import type { Orm } from './database.ts';
import { metrics } from './schema-jobs.ts';

export type MetricRow = typeof metrics.$inferSelect;

export async function listMetrics(
  orm: Orm,
  {
    jobId,
    name,
    group,
    after,
    limit,
  }: { jobId: string; name?: string; group?: string; after: number; limit: number },
) {
  return await orm
    .select()
    .from(metrics)
    .where(
      and(
        eq(metrics.jobId, jobId),
        name === undefined ? undefined : eq(metrics.name, name),
        group === undefined ? undefined : eq(metrics.group, group),
        gt(metrics.sequence, after),
      ),
    )
    .orderBy(asc(metrics.sequence))
    .limit(limit);
}

/** The newest value of every metric, group and class of some jobs. */
export async function listLastMetrics(orm: Orm, jobIds: string[]): Promise<MetricRow[]> {
  if (jobIds.length === 0) return [];
  const series = [metrics.jobId, metrics.name, metrics.group, metrics.class];
  return await orm
    .selectDistinctOn(series)
    .from(metrics)
    .where(inArray(metrics.jobId, jobIds))
    .orderBy(...series.map((column) => asc(column)), desc(metrics.sequence));
}
