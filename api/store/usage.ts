// Hours that attempts ran, by what they ran for. An attempt counts from its first `starting` or
// `running` to its end, however it ended; what it waited before that does not.

import { type SQL, sql } from 'drizzle-orm';
import type { UsageItem, UsageKind, UsageSums } from '../contract/usage.ts';
import { type Orm, rows } from './database.ts';

const names: Record<UsageKind, { key: SQL; name: SQL }> = {
  job: {
    key: sql`j.id`,
    name: sql`(select d.name || ' fold ' || s.fold from snapshots s
      join datasets d on d.id = s.dataset_id where s.id = j.snapshot_id)`,
  },
  dataset: {
    key: sql`j.dataset_id`,
    name: sql`(select d.name from datasets d where d.id = j.dataset_id)`,
  },
  actor: { key: sql`j.created_by`, name: sql`j.created_by` },
  target: { key: sql`j.target`, name: sql`j.target` },
};

const sums = sql`sum(gpus * seconds) as gpu_seconds, sum(seconds) as seconds,
  count(*)::int as attempts, count(distinct job)::int as jobs,
  count(*) filter (where runs)::int as running`;

/** `at`: the moment as of which attempts that run are counted, so that pages read later agree. */
export type UsageQuery = {
  workspaceId: string;
  by: UsageKind;
  from: Date;
  to: Date;
  at: Date;
  offset: number;
  limit: number;
};

/**
 * Sums of the attempts that overlap [from, to), clipped to it, the most GPU hours first; then the
 * most hours, then by key. `total` is over all of them.
 */
export async function listUsage(
  orm: Orm,
  { workspaceId, by, from, to, at, offset, limit }: UsageQuery,
): Promise<{ items: UsageItem[]; total: UsageSums }> {
  const { key, name } = names[by];
  const [since, until, now] = [from, to, at].map((one) => sql`${one.toISOString()}::timestamptz`);
  const end = sql`least(coalesce(a.ended_at, ${now}), ${now}, ${until})`;
  const found = await rows<UsageItem & { total: UsageSums }>(
    orm,
    sql`with used as (
      select j.id as job, ${key} as key, ${name} as name, a.ended_at is null as runs,
        (j.resources -> 'gpus' ->> 'count')::int as gpus,
        greatest(0, extract(epoch from ${end} - greatest(a.started_at, ${since}))) as seconds
      from jobs j join job_attempts a on a.job_id = j.id
      where j.workspace_id = ${workspaceId} and a.started_at < ${until} and a.started_at <= ${now}
        and (a.started_at >= ${since} or ${end} > ${since})
    ), total as (
      select ${sums} from used
    ), shown as (
      select key, min(name) as name, ${sums} from used group by key
      order by gpu_seconds desc, seconds desc, key limit ${limit} offset ${offset}
    )
    select shown.key, shown.name, ${hoursOf(sql`shown`)},
      (select to_jsonb(sum) from (select ${hoursOf(sql`total`)} from total) sum) as total
    from (select 1) one left join shown on true
    order by shown.gpu_seconds desc, shown.seconds desc, shown.key`,
  );
  const items = found.filter((row) => row.key !== null).map(({ total: _, ...item }) => item);
  return { items, total: found[0].total };
}

function hoursOf(from: SQL): SQL {
  return sql`(coalesce(${from}.gpu_seconds, 0) / 3600)::float8 as "gpuHours",
    (coalesce(${from}.seconds, 0) / 3600)::float8 as hours,
    ${from}.attempts, ${from}.jobs, ${from}.running`;
}
