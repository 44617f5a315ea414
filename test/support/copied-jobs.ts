// Thousands of jobs in a moment: one is made through the API, the rest are copies of its rows.

import { sql } from 'drizzle-orm';
import type { JobTest } from './jobs.ts';

/** A job that runs, has reported and is quiet. */
export async function quietJob(test: JobTest): Promise<string> {
  const { id } = await test.launch();
  await test.trainer(id).report({ sequence: 0 });
  await test.tick();
  return id;
}

/** Copies of a job that is quiet, each with its attempt, from number `from` on. */
export async function copyJob(
  test: JobTest,
  id: string,
  { from, count, ended }: { from: number; count: number; ended: boolean },
): Promise<void> {
  const { orm } = test.database;
  const keys = sql`generate_series(${from}::int, ${from + count - 1}::int) k`;
  const copy = sql`'copy-' || lpad(k::text, 8, '0')`;
  const end = ended ? sql`'{"ended_at": "2026-03-01T09:00:00Z", "state": "failed"}'` : sql`'{}'`;
  const swept = ended ? sql`'{"cleaned_at": "2026-03-01T09:00:00Z"}'` : sql`'{}'`;
  await orm.execute(sql`insert into jobs select (jsonb_populate_record(one,
    ${end}::jsonb || jsonb_build_object('id', ${copy}))).*
    from jobs one, ${keys} where one.id = ${id}`);
  await orm.execute(sql`insert into job_attempts select (jsonb_populate_record(one,
    ${end}::jsonb || ${swept}::jsonb || jsonb_build_object('job_id', ${copy}, 'token_digest', null,
      'launch_key', 'cw-' || ${copy} || '-1',
      'handle', jsonb_build_object('launchKey', 'cw-' || ${copy} || '-1')))).*
    from job_attempts one, ${keys} where one.job_id = ${id}`);
  for (let k = from; !ended && k < from + count; k++) {
    const launchKey = `cw-copy-${String(k).padStart(8, '0')}-1`;
    const observation = { state: 'running' as const };
    test.launcher.launches.set(launchKey, { token: '', observation, cancelled: [] });
  }
}
