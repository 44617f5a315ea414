// Metrics of jobs, in the order of their arrival: numbers from 1 in each job, over all its series.
// A row holds what one report said of one series, so reading is finding rows and opening them.

import { type SQL, sql } from 'drizzle-orm';
import { type Metric, reportLimits } from '../contract/trainer.ts';
import { type Orm, rows } from './database.ts';

/** One number of a job. */
export type MetricRow = {
  jobId: string;
  sequence: number;
  attempt: number;
  name: string;
  value: number;
  step: number;
  epoch: number | null;
  group: string | null;
  class: string | null;
};

type ChunkRow = {
  job: string;
  first: number;
  attempt: number;
  name: string;
  group: string | null;
  class: string | null;
  places: number[] | null;
  steps: number[];
  values: number[];
  epochs: (number | null)[] | null;
};

/**
 * The numbers of a report as rows of metric_chunks: one for each series, in the order in which they
 * begin. `first` and `last` count from 1 within the report.
 */
export function metricChunks(metrics: Metric[]) {
  const series = new Map<string, { places: number[]; points: Metric[] }>();
  for (const [place, point] of metrics.entries()) {
    const key = JSON.stringify([point.name, point.group, point.class]);
    const known = series.get(key);
    if (known === undefined) series.set(key, { places: [place], points: [point] });
    else {
      known.places.push(place);
      known.points.push(point);
    }
  }
  return [...series.values()].map(({ places, points }) => {
    const [{ name, group = null, class: of = null }] = points;
    const [start] = places;
    const last = places[places.length - 1];
    return {
      first: start + 1,
      last: last + 1,
      name,
      group,
      class: of,
      points: points.length,
      places: last - start === places.length - 1 ? null : places.map((place) => place - start),
      steps: points.map(({ step }) => step),
      values: points.map(({ value }) => value),
      epochs: points.some(({ epoch }) => epoch !== undefined)
        ? points.map(({ epoch }) => epoch ?? null)
        : null,
    };
  });
}

function opened(chunk: ChunkRow): MetricRow[] {
  const { job: jobId, attempt, name, group, class: of, places, steps, values, epochs } = chunk;
  const first = Number(chunk.first);
  return values.map((value, k) => ({
    jobId,
    sequence: first + (places === null ? k : places[k]),
    attempt,
    name,
    value,
    step: steps[k],
    epoch: epochs === null ? null : epochs[k],
    group,
    class: of,
  }));
}

// As JSON, which drivers read far faster than the text of an array.
const columns = sql`job_id as job, first_sequence as first, attempt, name, group_name as "group",
  class_name as class, to_json(places) as places, to_json(steps) as steps,
  to_json("values") as values, to_json(epochs) as epochs`;

/**
 * How many numbers rows may hold that begin before another one ends: those of one report lie among
 * each other.
 */
const slack = reportLimits.metrics;

const inOrder = (a: MetricRow, b: MetricRow) => a.sequence - b.sequence;

/** Numbers after a sequence in the order of arrival. */
export async function listMetrics(
  orm: Orm,
  {
    jobId,
    name,
    group,
    after,
    limit,
  }: { jobId: string; name?: string; group?: string; after: number; limit: number },
): Promise<MetricRow[]> {
  const asked = [
    sql`job_id = ${jobId}`,
    sql`last_sequence > ${after}`,
    ...(name === undefined ? [] : [sql`name = ${name}`]),
    ...(group === undefined ? [] : [sql`group_name = ${group}`]),
  ];
  // Every row holds one number at least; rows whose numbers all come too late are not opened.
  const chunks = await rows<ChunkRow>(
    orm,
    sql`select ${columns} from (
        select *, sum(points) over (order by first_sequence) - points as before
        from metric_chunks where ${sql.join(asked, sql` and `)}
        order by first_sequence limit ${limit + slack}
      ) as found
      where before < ${limit + 2 * slack} order by first_sequence`,
  );
  const points = chunks.flatMap(opened).filter(({ sequence }) => sequence > after);
  return points.sort(inOrder).slice(0, limit);
}

/** The newest value of every metric, group and class of some jobs. */
export async function listLastMetrics(orm: Orm, jobIds: string[]): Promise<MetricRow[]> {
  if (jobIds.length === 0) return [];
  const chunks = await rows<ChunkRow>(
    orm,
    sql`select distinct on (job_id, name, group_name, class_name) ${columns} from metric_chunks
      where job_id in ${jobIds}
      order by job_id, name, group_name, class_name, last_sequence desc`,
  );
  return chunks.map((chunk) => opened(chunk).at(-1) as MetricRow);
}

/** Which points of a name: those of no group, of a group, or of a group that begins like this. */
export type PointsOf = { names: readonly string[]; groups: 'none' | 'some' | { prefix: string } };

const groupIs = (groups: PointsOf['groups']): SQL => {
  if (groups === 'none') return sql`group_name is null`;
  if (groups === 'some') return sql`group_name is not null`;
  return sql`group_name like ${`${groups.prefix}%`}`;
};

const pointsOf = (jobId: string, { names, groups }: PointsOf): SQL =>
  sql`job_id = ${jobId} and name in ${[...names]} and ${groupIs(groups)}`;

/** All points of some names, in the order of arrival. */
export async function listPoints(orm: Orm, jobId: string, of: PointsOf): Promise<MetricRow[]> {
  const chunks = await rows<ChunkRow>(
    orm,
    sql`select ${columns} from metric_chunks where ${pointsOf(jobId, of)}`,
  );
  return chunks.flatMap(opened).sort(inOrder);
}

/** The last `limit` points of each name, by name and in the order of arrival. */
export async function listLastPoints(
  orm: Orm,
  jobId: string,
  { limit, ...of }: PointsOf & { limit: number },
): Promise<MetricRow[]> {
  const last: MetricRow[] = [];
  for (const name of of.names) {
    const chunks = await rows<ChunkRow>(
      orm,
      sql`select ${columns} from (
          select *, sum(points) over (order by last_sequence desc) - points as after
          from metric_chunks where ${pointsOf(jobId, { ...of, names: [name] })}
          order by last_sequence desc limit ${limit}
        ) as found
        where after < ${limit + slack}`,
    );
    last.push(...chunks.flatMap(opened).sort(inOrder).slice(-limit));
  }
  return last;
}
