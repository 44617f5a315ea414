// Workspaces against each other with raw SQL, as a query with a forgotten predicate would: the role
// of the service sees and writes rows of one workspace only, and changes no history.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Orm, rows } from '../../api/store/database.ts';
import { ownsTables } from '../../api/store/service-role.ts';
import { type JobTest, ledgerRange, openJobTest } from '../support/jobs.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const history = [
  'alias_moves',
  'approval_revocations',
  'approvals',
  'audit_anchors',
  'audit_entries',
  'draw_ledger',
  'job_events',
  'job_snapshots',
  'rule_sets',
  'snapshot_chunks',
  'snapshot_origins',
  'snapshots',
  'withdrawals',
];

/** What a statement that must fail says; an error of drizzle keeps it in its cause. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  const error = await attempt.then(
    () => new Error('it was not refused'),
    (caught: Error) => (caught.cause as Error | undefined) ?? caught,
  );
  return error.message;
}

describe.skipIf(noPostgres())('row-level security', () => {
  let postgres: TestPostgres;
  let mine: string;
  let tables: string[];
  let own: Orm;
  let foreign: Orm;
  const owner = () => postgres.owner.orm;

  beforeAll(async () => {
    postgres = await startPostgres();
    const api = await openJobTest({}, postgres.database);
    await oneOfEach(api, owner());
    const [workspace] = await rows<{ id: string }>(owner(), sql`select id from workspaces`);
    mine = workspace.id;
    await owner().execute(sql`insert into workspaces values ('other', 'other', now())`);
    own = postgres.database.within(mine);
    foreign = postgres.database.within('other');
    const named = await rows<{ name: string }>(
      owner(),
      sql`select relname as name from pg_class where relkind = 'r'
        and relnamespace = 'public'::regnamespace and relname not in ('schema_migrations', 'rate_counters') order by 1`,
    );
    tables = named.map(({ name }) => name);
  });
  afterAll(() => postgres?.stop());

  const countOf = async (orm: Orm, table: string) => {
    const id = sql.identifier(table);
    const [{ count }] = await rows<{ count: number }>(
      orm,
      sql`select count(*)::int as count from ${id} t where to_jsonb(t) ->> 'id' is distinct from 'other'`,
    );
    return count;
  };

  test('stands on every table, and the role of the service is not the owner', async () => {
    const open = await rows<{ name: string }>(
      owner(),
      sql`select relname as name from pg_class where relkind = 'r' and not relrowsecurity
        and relnamespace = 'public'::regnamespace`,
    );
    expect(open).toEqual([{ name: 'schema_migrations' }]);
    expect(await ownsTables(own)).toBe(false);
    expect(await ownsTables(owner())).toBe(true);
  });

  test('shows a workspace its rows of every table, and another none of them', async () => {
    for (const table of tables) {
      const all = await countOf(owner(), table);
      expect([table, all > 0]).toEqual([table, true]);
      expect([table, await countOf(own, table)]).toEqual([table, all]);
      expect([table, await countOf(foreign, table)]).toEqual([table, 0]);
    }
  });

  test('shows nothing to a connection that does not say for whom it works', async () => {
    const silent = postgres.database.within('');
    for (const table of tables) {
      expect([table, await countOf(silent, table)]).toEqual([table, 0]);
    }
  });

  test('shows the counters of requests to the service alone: they are of no workspace', async () => {
    const key = sql`insert into rate_counters values ('token:x', now())`;
    await postgres.database.orm.execute(key);
    expect(await countOf(postgres.database.orm, 'rate_counters')).toBe(1);
    expect(await countOf(own, 'rate_counters')).toBe(0);
    expect(await refusal(own.execute(key))).toContain('row-level security');
  });

  test('refuses a row that another workspace writes into this one', async () => {
    for (const table of tables) {
      const id = sql.identifier(table);
      const [{ row }] = await rows<{ row: unknown }>(
        owner(),
        sql`select to_jsonb(t) as row from ${id} t where to_jsonb(t) ->> 'id' is distinct from 'other' limit 1`,
      );
      const write = sql`insert into ${id}
        select * from jsonb_populate_record(null::${id}, ${JSON.stringify(row)}::jsonb)`;
      expect([table, await refusal(foreign.execute(write))]).toEqual([
        table,
        `new row violates row-level security policy for table "${table}"`,
      ]);
    }
  });

  test('lets another workspace change and delete nothing', async () => {
    for (const table of ['tokens', 'datasets', 'cases', 'jobs', 'job_attempts', 'agents']) {
      const id = sql.identifier(table);
      const column = sql.identifier(table === 'job_attempts' ? 'job_id' : 'workspace_id');
      const set = table === 'cases' ? sql`valid_to = 1` : sql`${column} = ${column}`;
      const result = await foreign.execute(sql`update ${id} set ${set}`);
      expect([table, (result as unknown as { rowCount: number }).rowCount]).toEqual([table, 0]);
    }
    const result = await foreign.execute(sql`delete from cases`);
    expect((result as unknown as { rowCount: number }).rowCount).toBe(0);
  });

  test('grants no change of history, not even of one’s own', async () => {
    for (const table of history) {
      const id = sql.identifier(table);
      const denied = `permission denied for table ${table}`;
      const [{ column }] = await rows<{ column: string }>(
        owner(),
        sql`select attname as column from pg_attribute where attrelid = ${table}::regclass and attnum = 1`,
      );
      const name = sql.identifier(column);
      expect(await refusal(own.execute(sql`update ${id} set ${name} = ${name}`))).toBe(denied);
      expect(await refusal(own.execute(sql`delete from ${id}`))).toBe(denied);
      expect(await refusal(own.execute(sql`truncate ${id} cascade`))).toMatch(/permission denied/);
      expect(await refusal(own.execute(sql`alter table ${id} disable trigger all`))).toBe(
        `must be owner of table ${table}`,
      );
    }
  });

  test('the triggers hold for the owner too', async () => {
    for (const table of history) {
      const id = sql.identifier(table);
      const said = `rows of this table are never changed`;
      expect(await refusal(owner().execute(sql`delete from ${id}`))).toContain(said);
      expect(await refusal(owner().execute(sql`truncate ${id} cascade`))).toContain(said);
    }
  });

  test('the connections of a pool do not carry one workspace into the next', async () => {
    const seen = await Promise.all(
      Array.from({ length: 60 }, (_, k) => countOf(k % 2 === 0 ? own : foreign, 'datasets')),
    );
    expect(seen).toEqual(Array.from({ length: 60 }, (_, k) => (k % 2 === 0 ? 1 : 0)));
  });
});

// A row in every table: through the app where it writes it, and as the owner for the rest.
async function oneOfEach(api: JobTest, owner: Orm): Promise<void> {
  const job = await api.launch();
  const trainer = api.trainer(job.id);
  const report = await trainer.report({
    sequence: 0,
    metrics: [{ name: 'loss', value: 1, step: 1 }],
    ledger: [await ledgerRange(api, { epoch: 0 })],
    caseLosses: [{ id: 'case_0004', loss: 1, seen: 1 }],
  });
  expect(report.status).toBe(200);
  await owner.execute(sql`insert into idempotency_keys
    select id, 'k', 'sha256:x', 201, '{}', now() from workspaces`);
  await owner.execute(sql`insert into upload_parts
    select dataset_id, number, 1, 'sha256:x', '{}' from dataset_versions on conflict do nothing`);
  await owner.execute(sql`insert into withdrawals
    select workspace_id, dataset_id, 'case_0004', 'r', now(), 'x' from snapshots`);
  await owner.execute(sql`insert into approvals
    select 'a', workspace_id, id, digest, 'm', 'r', now(), 'x' from snapshots`);
  await owner.execute(sql`insert into approval_revocations
    select id, workspace_id, 'r', now(), 'x' from approvals`);
  await owner.execute(sql`insert into alias_moves
    select workspace_id, dataset_id, 'production', 1, '{}', false, '[]', 'r', now(), 'x' from snapshots`);
  await owner.execute(sql`insert into snapshot_origins
    select s.id, j.id, 0.5 from snapshots s join jobs j on j.snapshot_id = s.id`);
  await owner.execute(sql`insert into job_snapshots select id, 1, snapshot_id, now() from jobs`);
  await owner.execute(sql`insert into agents
    select id, 'cluster', 'one', 'x', '1', '[]', now() from workspaces`);
  await owner.execute(sql`insert into audit_anchors
    select id, now(), 1, 'sha256:x', 'elsewhere' from workspaces`);
}
