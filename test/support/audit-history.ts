// A workspace in which everything has happened that the audit chain vouches for, and alterations of
// it as somebody makes them who owns the database.

import { type SQL, sql } from 'drizzle-orm';
import { rows } from '../../api/store/database.ts';
import { must } from './builders.ts';
import { type JobTest, ledgerRange, openJobTest } from './jobs.ts';

export type AuditHistory = JobTest & {
  /** Makes an alteration past triggers and foreign keys, looks, and takes it back. */
  altered: <Seen>(statement: SQL, look: () => Promise<Seen>) => Promise<Seen>;
};

/** The last thing that happens is a withdrawal, so that a cut-off entry leaves its row behind. */
export async function openAuditHistory(): Promise<AuditHistory> {
  const jobs = await openJobTest();
  await runJob(jobs);
  await runJob(jobs);
  const ann = await jobs.as('ann', 'approver');
  const path = `/v1/snapshots/${jobs.snapshot}/approvals`;
  const kept = await must(ann, 201, 'POST', path, { meaning: 'use', reason: 'looked at it' });
  const bea = await jobs.as('bea', 'approver');
  const gone = await must(bea, 201, 'POST', path, { meaning: 'use', reason: 'hurried' });
  const revoked = { reason: 'too hurried' };
  await must(bea, 200, 'POST', `${path}/${gone.id}/revoke`, revoked);
  const mo = await jobs.as('mo', 'editor');
  for (const guarded of [false, true]) {
    const body = { snapshots: { 0: jobs.snapshot }, reason: 'did well', protected: guarded };
    const status = guarded ? 200 : 201;
    await must(mo, status, 'PUT', '/v1/datasets/phantom/aliases/production', body);
  }
  for (const caseId of ['case_0001', 'case_0006']) {
    const body = { caseId, reason: 'consent was withdrawn' };
    await must(jobs, 201, 'POST', '/v1/datasets/phantom/withdrawals', body);
  }
  if (kept.id === gone.id) throw new Error('two approvals have one id');
  const altered: AuditHistory['altered'] = async (statement, look) => {
    const { orm } = jobs.database;
    await orm.execute(sql`begin`);
    try {
      await orm.execute(sql`set local session_replication_role = replica`);
      await orm.execute(statement);
      return await look();
    } finally {
      await orm.execute(sql`rollback`);
    }
  };
  return { ...jobs, altered };
}

async function runJob(jobs: JobTest): Promise<void> {
  const { id } = await jobs.launch();
  for (const [sequence, epoch] of [0, 0, 1].entries()) {
    const ledger = [await ledgerRange(jobs, { epoch })];
    const { status } = await jobs.trainer(id).report({ sequence, ledger });
    if (status !== 200) throw new Error(`report ${sequence}: ${status}`);
  }
  const exit = { code: 1, signal: null };
  jobs.launcher.observe(jobs.keyOf(id), { state: 'exited', exit });
  await jobs.tick();
}

export type Column = { name: string; type: string };

/** The columns of a table with their types (`int8`, `text`, `_float8`, ...). */
export async function columnsOf(test: JobTest, table: string): Promise<Column[]> {
  return await rows<Column>(
    test.database.orm,
    sql`select column_name as name, udt_name as type from information_schema.columns
      where table_name = ${table} order by ordinal_position`,
  );
}

/** Another value of a column, whatever it holds; `pick` chooses among several ways. */
export function anotherValue({ name, type }: Column, pick: number): string {
  const ways: Record<string, string[]> = {
    text: [
      `coalesce(${name}, '') || 'x'`,
      `'x'`,
      `overlay(coalesce(${name}, '') placing '~' from 1 for 1)`,
      `''`,
    ],
    int4: [`${name} + 1`, `${name} - 1`, `${name} + 1000`],
    int8: [`${name} + 1`, `${name} - 1`, `${name} + 100000`],
    bool: [`not ${name}`],
    timestamptz: [
      `${name} + interval '1 millisecond'`,
      `${name} - interval '1 year'`,
      `'infinity'`,
    ],
    jsonb: [`'{"altered": true}'`, `'null'`, `'[]'`, `'"x"'`],
  };
  const found = ways[type];
  if (found === undefined) throw new Error(`no other value of type ${type} is known`);
  return found[pick % found.length];
}
