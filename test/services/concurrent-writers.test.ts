// Eight processes at once on one real Postgres: the audit chain stays one chain, the same inputs
// stay one snapshot, and versions, drafts and withdrawals have one winner.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Database, rows } from '../../api/store/database.ts';
import { openPostgres } from '../../api/store/open-postgres.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset, must, rules } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const writerCount = 8;

describe.skipIf(noPostgres())('eight writers', () => {
  let postgres: TestPostgres;
  let databases: Database[];
  let writers: TestApp[];

  beforeAll(async () => {
    postgres = await startPostgres();
    databases = Array.from({ length: writerCount }, () =>
      openPostgres({ url: postgres.urls.service, connections: 3 }),
    );
    writers = [await openTestApp({ database: databases[0], process: 1 })];
    for (const [k, database] of databases.slice(1).entries()) {
      writers.push(await openTestApp({ database, process: k + 2 }));
    }
    await committedDataset(writers[0], { count: 60 });
    await must(writers[0], 201, 'POST', `${path}/rule-sets`, { name: 'r', rules, reason: 'test' });
  });
  afterAll(async () => {
    for (const database of databases ?? []) await database.close();
    await postgres?.stop();
  });

  const path = '/v1/datasets/phantom';
  const fold = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'r@1', reason: 'together' };
  const together = <Value>(act: (writer: TestApp, k: number) => Promise<Value>) =>
    Promise.all(writers.map(act));

  test('freezing the same inputs make one snapshot and one audit entry', async () => {
    const answers = await together((writer) => writer.call('POST', `${path}/snapshots`, fold));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([
      ...Array(writerCount - 1).fill(200),
      201,
    ]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const { items } = (await writers[0].call('GET', `${path}/snapshots`)).body;
    expect(items).toHaveLength(1);
    const entries = await writers[0].call('GET', '/v1/audit?action=snapshot.frozen');
    expect(entries.body.items).toHaveLength(1);
  });

  test('writing rule sets under one name get versions without a gap or a double', async () => {
    const answers = await together((writer, k) =>
      writer.call('POST', `${path}/rule-sets`, {
        name: 'shared',
        rules: { ...rules, sampling: { ...rules.sampling, cap: 2 + k } },
        reason: `writer ${k}`,
      }),
    );
    const made = answers.filter(({ status }) => status === 201).map(({ body }) => body.version);
    const refused = answers.filter(({ status }) => status !== 201).map(({ status }) => status);
    expect(made.toSorted()).toEqual(made.map((_, k) => k + 1));
    expect(refused).toEqual(refused.map(() => 409));
    expect(made.length).toBeGreaterThan(0);
  });

  test('opening drafts leave one open', async () => {
    const answers = await together((writer, k) =>
      writer.call('POST', `${path}/versions`, { base: 1, reason: `writer ${k}` }),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(writerCount - 1);
  });

  test('withdrawing one case do it once; each another, all of them', async () => {
    const withdraw = (writer: TestApp, caseId: string) =>
      writer.call('POST', `${path}/withdrawals`, { caseId, reason: 'consent' });
    const same = await together((writer) => withdraw(writer, 'case_0001'));
    expect(same.map(({ status }) => status).toSorted()).toEqual([
      201,
      ...Array(writerCount - 1).fill(409),
    ]);
    const each = await together((writer, k) => withdraw(writer, `case_001${k}`));
    expect(each.map(({ status }) => status)).toEqual(Array(writerCount).fill(201));
  });

  test('freezing while cases are withdrawn: no snapshot holds a case withdrawn before it', async () => {
    await together(async (writer, k) => {
      for (let round = 0; round < 4; round++) {
        const caseId = `case_00${20 + 4 * k + round}`;
        if (k % 2 === 0) {
          await writer.call('POST', `${path}/withdrawals`, { caseId, reason: 'consent' });
        } else await writer.call('POST', `${path}/snapshots`, { ...fold, fold: round });
      }
    });
    const held = await rows(
      postgres.owner.orm,
      sql`select s.digest, w.case_id from snapshots s
        join audit_entries f on f.subject = 'snapshot/' || s.digest and f.action = 'snapshot.frozen'
        join withdrawals w on w.dataset_id = s.dataset_id
        join audit_entries e on e.action = 'case.withdrawn' and e.subject like '%/' || w.case_id
        join snapshot_chunks k on k.snapshot_id = s.id
        where e.sequence < f.sequence and w.case_id = any (string_to_array(k.ids, E'\n'))`,
    );
    expect(held).toEqual([]);
  });

  test('moving a protected alias while approvals come and go: never past its rule', async () => {
    const [author, mover, approver] = [
      await writers[0].as('ada', 'editor'),
      await writers[1].as('mo', 'editor'),
      await writers[2].as('bo', 'approver'),
    ];
    const alias = `${path}/aliases/guarded`;
    const moves: number[] = [];
    for (let round = 0; round < 6; round++) {
      const rule = { ...rules, sampling: { ...rules.sampling, cap: 3 + round / 10 } };
      const named = { name: `guard${round}`, rules: rule, reason: 'r' };
      await author.call('POST', `${path}/rule-sets`, named);
      const body = { ...fold, ruleSet: `guard${round}@1` };
      const { digest } = (await author.call('POST', `${path}/snapshots`, body)).body;
      const approvals = `/v1/snapshots/${digest}/approvals`;
      const move = () =>
        mover.call('PUT', alias, { snapshots: { 0: digest }, protected: true, reason: 'better' });
      expect((await move()).status).toBe(409);
      const vouch = { meaning: 'reviewed', reason: 'r' };
      const { id } = (await approver.call('POST', approvals, vouch)).body;
      const revoke = () => approver.call('POST', `${approvals}/${id}/revoke`, { reason: 'doubt' });
      const answers = await Promise.all([move(), move(), revoke(), move(), move(), move()]);
      moves.push(answers.filter(({ status }, k) => k !== 2 && status < 300).length);
      expect((await move()).status === 409 || moves[round] > 0).toBe(true);
    }
    expect(await movesPastTheRule(postgres.owner)).toEqual([]);
  });

  test('leave one chain: every sequence once, each hash from the one before', async () => {
    const verified = (await writers[0].call('GET', '/v1/audit/verify')).body;
    const [{ count, last }] = await rows<{ count: number; last: number }>(
      postgres.owner.orm,
      sql`select count(*)::int as count, max(sequence)::int as last from audit_entries`,
    );
    expect(verified).toMatchObject({ ok: true, checked: count });
    expect(last).toBe(count);
    expect(count).toBeGreaterThan(30);
  });
});

// Moves of protected aliases to a snapshot without an approval, by another person than mover and
// author, that stood when the move was written down: by the order of the audit chain alone.
async function movesPastTheRule({ orm }: Database): Promise<unknown[]> {
  return await rows(
    orm,
    sql`select m.sequence from audit_entries m, alias_moves a, jsonb_each_text(a.snapshots) at
      join snapshots s on s.id = at.value
      where m.action = 'alias.moved' and a.protected
        and a.name = (m.text::jsonb -> 'detail' ->> 'name')
        and a.number = (m.text::jsonb -> 'detail' ->> 'number')::int
        and not exists (
          select 1 from approvals p
          join audit_entries given on given.action = 'snapshot.approved'
            and given.text::jsonb -> 'detail' ->> 'approval' = p.id
          left join audit_entries revoked on revoked.action = 'approval.revoked'
            and revoked.text::jsonb -> 'detail' ->> 'approval' = p.id
          where p.snapshot_digest = s.digest and p.created_by not in (a.created_by, s.created_by)
            and given.sequence < m.sequence
            and (revoked.sequence is null or revoked.sequence > m.sequence))`,
  );
}
