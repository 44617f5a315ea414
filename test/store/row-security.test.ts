// Workspaces against each other with raw SQL, as a query with a forgotten predicate would: the role
// of the service sees and writes rows of one workspace only, and changes no history.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Orm, rows } from '../../api/store/database.ts';
import { ownsTables } from '../../api/store/service-role.ts';
import { type JobTest, ledgerRange, openJobTest } from '../support/jobs.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

/** What the service may do to a table beside reading it and adding rows. The rest is history. */
const changes: Record<string, string> = {
  agents: 'update',
  cases: 'update delete',
  dataset_versions: 'update',
  datasets: 'update',
  github_sessions: 'delete',
  idempotency_keys: 'update delete',
  job_attempts: 'update',
  jobs: 'update',
  rate_counters: 'update delete',
  splits: 'delete',
  tokens: 'update',
  upload_parts: 'delete',
  webhook_deliveries: 'update delete',
  webhooks: 'update delete',
};

/**
 * Added to and never changed by grants alone: no decision, and too many rows for a trigger; of a
 * policy of GitHub it is granted to say that it was removed.
 */
const withoutTrigger = ['case_losses', 'github_policies', 'metric_chunks', 'workspaces'];

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

  test('is one policy a table, for every command, reading and writing', async () => {
    const policies = await rows<Record<string, string | null>>(
      owner(),
      sql`select tablename as name, cmd, permissive, roles::text as roles, qual, with_check
        from pg_policies where schemaname = 'public' and tablename <> 'rate_counters' order by 1`,
    );
    const missing = tables.filter((name) => !policies.some((policy) => policy.name === name));
    expect(missing, 'give the new table a policy in its migration, as 0013 does').toEqual([]);
    expect(policies.map(({ name }) => name)).toEqual(tables);
    for (const { name, qual, with_check: check, ...policy } of policies) {
      const whole = { cmd: 'ALL', permissive: 'PERMISSIVE', roles: '{public}' };
      expect([name, policy]).toEqual([name, whole]);
      expect([name, check]).toEqual([name, qual]);
      expect([name, qual]).toEqual([
        name,
        expect.stringMatching(/sees_workspace|datasets|jobs|snapshots/),
      ]);
    }
  });

  test('what the service may change is what is written above, in every table', async () => {
    const grants = await rows<{ name: string; may: string | null; columns: number }>(
      owner(),
      sql`select relname as name,
          (select string_agg(lower(privilege_type), ' ' order by privilege_type desc)
            from information_schema.role_table_grants g where g.table_name = relname
              and g.grantee = 'counterweight' and privilege_type not in ('SELECT', 'INSERT')) as may,
          (select count(*)::int from information_schema.role_column_grants g
            where g.table_name = relname and g.grantee = 'counterweight'
              and g.privilege_type = 'UPDATE'
              and not has_table_privilege('counterweight', ${'public.'} || relname, 'update')) as columns
        from pg_class where relkind in ('r', 'p', 'v', 'm', 'f')
          and relnamespace = 'public'::regnamespace order by 1`,
    );
    const changed = grants.filter(({ may }) => may !== null);
    expect(Object.fromEntries(changed.map(({ name, may }) => [name, may]))).toEqual(changes);
    expect(grants.filter(({ columns }) => columns > 0)).toMatchObject([
      { name: 'github_policies', columns: 2 },
    ]);
    const kept = tables.filter((name) => changes[name] === undefined);
    const refusing = await rows<{ name: string }>(
      owner(),
      sql`select distinct tgrelid::regclass::text as name from pg_trigger
        where tgfoid = 'refuse_change'::regproc and tgenabled <> 'D' order by 1`,
    );
    expect(refusing.map(({ name }) => name).sort()).toEqual([...history].sort());
    const add = 'a table that is only added to is history: give it triggers, or say here why not';
    expect(kept.filter((name) => !history.includes(name)).sort(), add).toEqual(withoutTrigger);
  });

  test('no function lets the service pass the wall, but one that shows nothing', async () => {
    const passing = await rows<{ name: string }>(
      owner(),
      sql`select proname as name from pg_proc where pronamespace = 'public'::regnamespace
        and prosecdef and has_function_privilege('counterweight', oid, 'execute')`,
    );
    expect(passing).toEqual([{ name: 'analyze_cases' }]);
    const [role] = await rows(
      owner(),
      sql`select rolsuper, rolbypassrls from pg_roles where rolname = 'counterweight'`,
    );
    expect(role).toEqual({ rolsuper: false, rolbypassrls: false });
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
    const seen = tables.map((table) => countOf(postgres.database.within(''), table));
    expect(await Promise.all(seen)).toEqual(tables.map(() => 0));
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
    const changed = ['tokens', 'datasets', 'cases', 'jobs', 'job_attempts', 'agents'];
    for (const table of [...changed, 'webhooks', 'webhook_deliveries']) {
      const id = sql.identifier(table);
      const column = sql.identifier(table === 'job_attempts' ? 'job_id' : 'workspace_id');
      const set = table === 'cases' ? sql`valid_to = 1` : sql`${column} = ${column}`;
      const result = await foreign.execute(sql`update ${id} set ${set}`);
      expect([table, (result as unknown as { rowCount: number }).rowCount]).toEqual([table, 0]);
    }
    for (const table of ['cases', 'github_sessions', 'webhooks', 'webhook_deliveries']) {
      const result = await foreign.execute(sql`delete from ${sql.identifier(table)}`);
      expect([table, (result as unknown as { rowCount: number }).rowCount]).toEqual([table, 0]);
    }
  });

  test('grants no change of history, not even of one’s own', async () => {
    for (const table of history) {
      const id = sql.identifier(table);
      const denied = `permission denied for table ${table}`;
      const [{ column }] = await rows<{ column: string }>(
        owner(),
        sql`select attname as column from pg_attribute where attrelid = ${table}::regclass and attnum = 1`,
      );
      const set = sql`${sql.identifier(column)} = ${sql.identifier(column)}`;
      expect(await refusal(own.execute(sql`update ${id} set ${set}`))).toBe(denied);
      expect(await refusal(own.execute(sql`delete from ${id}`))).toBe(denied);
      expect(await refusal(own.execute(sql`truncate ${id} cascade`))).toMatch(/permission denied/);
      expect(await refusal(own.execute(sql`alter table ${id} disable trigger all`))).toBe(
        `must be owner of table ${table}`,
      );
    }
  });

  test('the triggers hold for the owner too', async () => {
    const never = 'rows of this table are never changed';
    for (const id of history.map((table) => sql.identifier(table))) {
      expect(await refusal(owner().execute(sql`delete from ${id}`))).toContain(never);
      expect(await refusal(owner().execute(sql`truncate ${id} cascade`))).toContain(never);
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
  await owner.execute(sql`insert into webhooks (id, workspace_id, url, events, secret, state, reason,
      created_at, created_by)
    select 'h', id, 'https://x', '{*}', 's', 'active', 'r', now(), 'x' from workspaces`);
  await owner.execute(sql`insert into webhook_deliveries (workspace_id, webhook_id, id, type, body,
      state, attempts, due_at, created_at)
    select workspace_id, id, 'e', 'ping', '{}', 'pending', 0, now(), now() from webhooks`);
  await owner.execute(sql`insert into audit_anchors
    select id, now(), 1, 'sha256:x', 'elsewhere' from workspaces`);
  await owner.execute(sql`insert into github_policies
    select 'p', workspace_id, 'i', '1', '2', 'a/b', '[]', '[]', null, null, id, '[]', null, 'r',
      now(), 'x' from datasets`);
  await owner.execute(sql`insert into github_sessions
    select 's', workspace_id, id, 'i', 'j', 'sha256:x', 'x', '{}', false, now(), now(), now()
    from github_policies`);
}
