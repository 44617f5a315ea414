// Random histories of two hundred operations by several people: the audit chain alone, replayed,
// tells the same aliases, approvals and withdrawals as the tables, and everything still verifies.

import { sql } from 'drizzle-orm';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { checkChain } from '../../trainer/commands/audit-chain.ts';
import { type ReplayedState, replayAudit } from '../../trainer/commands/audit-replay.ts';
import { openTestApp, type Sending, type TestApp } from '../support/app.ts';
import { committedDataset, must, rules } from '../support/builders.ts';

const kinds = ['rules', 'freeze', 'freeze', 'approve', 'approve', 'revoke', 'alias', 'withdraw'];
const people = ['ed', 'mo', 'ann', 'bea', 'admin'] as const;

const operation = fc.record({
  kind: fc.constantFrom(...kinds),
  by: fc.constantFrom(...people),
  dataset: fc.constantFrom('left', 'right'),
  pick: fc.nat(999),
  fold: fc.nat(4),
  flag: fc.constantFrom(true, false, undefined),
});
type Operation = typeof operation extends fc.Arbitrary<infer One> ? One : never;

type Team = {
  api: TestApp;
  as: Record<(typeof people)[number], Sending>;
  /** By dataset and fold: digests that were frozen. */
  frozen: Map<string, string[]>;
  approvals: { id: string; snapshot: string }[];
  done: Map<string, number>;
};

async function openTeam(): Promise<Team> {
  const api = await openTestApp();
  for (const name of ['left', 'right']) {
    await committedDataset(api, { name, count: 20 });
    const body = { name: 'rare', rules, reason: 'first' };
    await must(api, 201, 'POST', `/v1/datasets/${name}/rule-sets`, body);
  }
  const as = {
    ed: await api.as('ed', 'editor'),
    mo: await api.as('mo', 'editor'),
    ann: await api.as('ann', 'approver'),
    bea: await api.as('bea', 'approver'),
    admin: api,
  };
  return { api, as, frozen: new Map(), approvals: [], done: new Map() };
}

const picked = <One>(list: One[], pick: number): One | undefined => list[pick % list.length];

/** What an operation asks for; undefined where there is nothing yet to do it with. */
function requestOf(
  { frozen, approvals }: Team,
  { kind, dataset, pick, fold, flag }: Operation,
): [method: string, path: string, body: object] | undefined {
  const path = `/v1/datasets/${dataset}`;
  const reason = `${kind} ${pick}`;
  const digest = picked(frozen.get(`${dataset} ${fold}`) ?? [], pick);
  if (kind === 'rules') {
    const document = { ...rules, sampling: { ...rules.sampling, cap: 2 + (pick % 7) } };
    return ['POST', `${path}/rule-sets`, { name: 'rare', rules: document, reason }];
  }
  if (kind === 'freeze') {
    const made = { version: 1, split: 'five-fold', fold, ruleSet: `rare@${1 + (pick % 3)}` };
    return ['POST', `${path}/snapshots`, { ...made, reason, acceptLowEffective: true }];
  }
  if (kind === 'withdraw') {
    const caseId = `case_${String(pick % 20).padStart(4, '0')}`;
    return ['POST', `${path}/withdrawals`, { caseId, reason }];
  }
  if (kind === 'revoke') {
    const one = picked(approvals, pick);
    if (one === undefined) return undefined;
    return ['POST', `/v1/snapshots/${one.snapshot}/approvals/${one.id}/revoke`, { reason }];
  }
  if (digest === undefined) return undefined;
  if (kind === 'approve') {
    const meaning = pick % 2 === 0 ? 'use' : 'review';
    return ['POST', `/v1/snapshots/${digest}/approvals`, { meaning, reason }];
  }
  const name = pick % 2 === 0 ? 'production' : 'trial';
  const moved = { snapshots: { [fold]: digest }, reason };
  return [
    'PUT',
    `${path}/aliases/${name}`,
    { ...moved, ...(flag === undefined ? {} : { protected: flag }) },
  ];
}

async function perform(team: Team, one: Operation): Promise<void> {
  team.api.moveClock(1_000);
  const request = requestOf(team, one);
  if (request === undefined) return;
  const { status, body } = await team.as[one.by].call(...request);
  expect([one, status, body]).toEqual([one, expect.toSatisfy((s: number) => s < 500), body]);
  if (status >= 300) return;
  team.done.set(one.kind, (team.done.get(one.kind) ?? 0) + 1);
  if (one.kind === 'freeze') {
    const place = `${one.dataset} ${one.fold}`;
    team.frozen.set(place, [...(team.frozen.get(place) ?? []), body.digest]);
  }
  if (one.kind === 'approve') team.approvals.push({ id: body.id, snapshot: body.snapshot });
}

async function replayed({ api }: Team): Promise<ReplayedState> {
  const text = await (await api.send('GET', '/v1/audit/export')).text();
  const replay = replayAudit();
  const { faults } = await checkChain(text.trimEnd().split('\n'), { entry: replay.take });
  expect(faults).toEqual([]);
  return replay.state();
}

const iso = (column: string) =>
  sql.raw(`to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);

/** The same from the tables, past every service. */
async function stored({ api: { database } }: Team): Promise<ReplayedState> {
  const { orm } = database;
  return {
    aliases: await rows(
      orm,
      sql`select distinct on (m.dataset_id, m.name) d.name as dataset, m.name, m.number, (
          select jsonb_object_agg(f.key, s.digest) from jsonb_each_text(m.snapshots) f
          join snapshots s on s.id = f.value) as snapshots,
        m.protected, m.approvals, m.created_by as by, ${iso('m.created_at')} as at
        from alias_moves m join datasets d on d.id = m.dataset_id
        order by m.dataset_id, m.name, m.number desc`,
    ),
    approvals: await rows(
      orm,
      sql`select a.id, a.snapshot_digest as snapshot, a.meaning, a.created_by as by,
        ${iso('a.created_at')} as at, case when r.approval_id is not null then jsonb_build_object(
          'by', r.created_by, 'at', ${iso('r.created_at')}, 'reason', r.reason) end as revoked
        from approvals a left join approval_revocations r on r.approval_id = a.id`,
    ),
    withdrawals: await rows(
      orm,
      sql`select d.name as dataset, w.case_id as "caseId", w.reason, w.created_by as by,
        ${iso('w.created_at')} as at
        from withdrawals w join datasets d on d.id = w.dataset_id`,
    ),
  };
}

const keyOf = (one: object) => JSON.stringify(Object.entries(one).sort());
const sorted = ({ aliases, approvals, withdrawals }: ReplayedState) =>
  [aliases, approvals, withdrawals].map((list: object[]) =>
    [...list].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)),
  );

/** A change of the tables behind the chain, each of which a replay must contradict. */
const mutants = [
  'delete from alias_moves where (dataset_id, name, number) in (select dataset_id, name, max(number) from alias_moves group by 1, 2 limit 1)',
  `update approvals set meaning = 'other' where id = (select min(id) from approvals)`,
  'delete from approval_revocations where approval_id = (select min(approval_id) from approval_revocations)',
  `update withdrawals set created_by = 'other'`,
];

test('the chain replayed is what the tables say, after any history', async () => {
  const history = fc.array(operation, { minLength: 200, maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(history, async (operations) => {
      const team = await openTeam();
      for (const one of operations) await perform(team, one);
      for (const kind of kinds) expect([kind, team.done.get(kind) ?? 0]).not.toEqual([kind, 0]);
      const told = sorted(await replayed(team));
      expect(told).toEqual(sorted(await stored(team)));
      expect(await must(team.api, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
      const { orm } = team.api.database;
      for (const mutant of mutants) {
        await orm.execute(sql`begin`);
        await orm.execute(sql`set local session_replication_role = replica`);
        await orm.execute(sql.raw(mutant));
        expect([mutant, told]).not.toEqual([mutant, sorted(await stored(team))]);
        await orm.execute(sql`rollback`);
      }
      await team.api.database.close();
    }),
    // A history is not made smaller where it fails: two hundred operations each time take too long.
    { numRuns: 3, endOnFailure: true },
  );
}, 180_000);
