// Metrics of jobs, in the order of their arrival.

import { and, asc, desc, eq, gt, inArray, isNotNull, isNull, like } from 'drizzle-orm';
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

/** Which points of a name: those of no group, of a group, or of a group that begins like this. */
export type PointsOf = { names: readonly string[]; groups: 'none' | 'some' | { prefix: string } };

const groupIs = (groups: PointsOf['groups']) => {
  if (groups === 'none') return isNull(metrics.group);
  return groups === 'some' ? isNotNull(metrics.group) : like(metrics.group, `${groups.prefix}%`);
};

const pointsOf = (jobId: string, { names, groups }: PointsOf) =>
  and(eq(metrics.jobId, jobId), inArray(metrics.name, [...names]), groupIs(groups));

/** All points of some names, in the order of arrival. */
export async function listPoints(orm: Orm, jobId: string, of: PointsOf): Promise<MetricRow[]> {
  return await orm.select().from(metrics).where(pointsOf(jobId, of)).orderBy(asc(metrics.sequence));
}

/** The last `limit` points of each name, by name and in the order of arrival. */
export async function listLastPoints(
  orm: Orm,
  jobId: string,
  { limit, ...of }: PointsOf & { limit: number },
): Promise<MetricRow[]> {
  const last: MetricRow[] = [];
  for (const name of of.names) {
    const found = await orm
      .select()
      .from(metrics)
      .where(pointsOf(jobId, { ...of, names: [name] }))
      .orderBy(desc(metrics.sequence))
      .limit(limit);
    last.push(...found.reverse());
  }
  return last;
}
