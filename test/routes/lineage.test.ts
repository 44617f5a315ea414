// Lineage over HTTP: relatives, sources, jobs, approvals, and the times of aliases.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { standingsOf } from '../../api/services/snapshots/lineage.ts';
import { must } from '../support/builders.ts';
import { type JobTest, ledgerRange, openJobTest } from '../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

const lineageOf = (key: string) => must(api, 200, 'GET', `/v1/snapshots/${key}/lineage`);

async function freeze(fold: number) {
  const body = { version: 1, split: 'five-fold', fold, ruleSet: 'rare@1', reason: 'fold' };
  return (await api.call('POST', '/v1/datasets/phantom/snapshots', body)).body;
}

const put = (alias: string, snapshots: object) =>
  api.call('PUT', `/v1/datasets/phantom/aliases/${alias}`, { snapshots, reason: 'x' });

test('a snapshot that nobody used has its sources and nothing else', async () => {
  const snapshot = await freeze(4);
  const ruleSet = await must(api, 200, 'GET', '/v1/datasets/phantom/rule-sets/rare@1');
  const version = await must(api, 200, 'GET', '/v1/datasets/phantom/versions/1');
  expect(await lineageOf(snapshot.id)).toEqual({
    snapshot: snapshot.digest,
    parents: [],
    children: [],
    ruleSet: { name: 'rare', version: 1, digest: ruleSet.digest },
    datasetVersion: { dataset: 'phantom', number: 1, digest: version.digest },
    jobs: [],
    approvals: [],
    aliases: [],
  });
  expect((await api.call('GET', '/v1/snapshots/nothing/lineage')).status).toBe(404);
});

test('jobs, approvals with their revocation, and aliases are those of this snapshot', async () => {
  const [mine, other] = [await freeze(1), await freeze(2)];
  await put('production', { 1: mine.id });
  const first = await api.launch({ snapshot: 'phantom@production' });
  const second = await api.launch({ snapshot: mine.digest });
  await api.launch({ snapshot: other.digest });
  const ann = await api.as('ann', 'approver');
  const path = `/v1/snapshots/${mine.digest}/approvals`;
  const meant = { meaning: 'use', reason: 'seen' };
  const { id } = await must(ann, 201, 'POST', path, meant);
  const revoked = await must(ann, 200, 'POST', `${path}/${id}/revoke`, { reason: 'wrong' });
  const standing = await must(ann, 201, 'POST', path, meant);
  await must(ann, 201, 'POST', `/v1/snapshots/${other.digest}/approvals`, meant);
  const from = api.deps.now().toISOString();
  api.moveClock(60_000);
  await put('production', { 1: mine.id, 2: other.id });
  api.moveClock(60_000);
  await put('production', { 2: other.id });
  const until = api.deps.now().toISOString();

  const lineage = await lineageOf(mine.digest);
  expect(lineage.jobs).toEqual([
    { id: first.id, state: first.state, alias: { name: 'production', number: 1 } },
    { id: second.id, state: second.state, alias: null },
  ]);
  expect(lineage.approvals).toEqual([revoked, standing]);
  expect(lineage.aliases).toEqual([
    { name: 'production', number: 1, fold: 1, current: false, from, until },
  ]);
  expect((await lineageOf('phantom@production:2')).aliases).toMatchObject([
    { number: 2, fold: 2, current: true, until: null },
  ]);
});

describe('relatives', () => {
  /** No rules make a child yet, so a row is copied; what reads it does not know. */
  async function childOf(parentId: string, letter: string): Promise<string> {
    const digest = `sha256:${letter.repeat(64)}`;
    await api.database.orm.execute(sql`
      insert into snapshots select (s).* from (
        select jsonb_populate_record(s, jsonb_build_object('id', ${letter}::text,
          'parent_id', ${parentId}::text, 'digest', ${digest}::text, 'input_digest', ${digest}::text,
          'header', s.header || '{"cause": "ramp"}')) as s
        from snapshots s where s.id = ${parentId}) copy`);
    return digest;
  }

  test('are its parents up to the root and its children', async () => {
    const root = await freeze(3);
    const child = await childOf(root.id, 'b');
    const grandchild = await childOf('b', 'c');
    await childOf(root.id, 'd');
    const digests = (relatives: { digest: string }[]) => relatives.map(({ digest }) => digest);
    expect(digests((await lineageOf(grandchild)).parents)).toEqual([child, root.digest]);
    const { parents, children } = await lineageOf(root.digest);
    expect(parents).toEqual([]);
    expect(children).toMatchObject([
      { id: 'b', digest: child, cause: 'ramp', createdBy: 'admin' },
      { id: 'd', cause: 'ramp' },
    ]);
    expect(digests((await lineageOf(child)).children)).toEqual([grandchild]);
  });

  test('a job of a parent counts once its ledger names the snapshot', async () => {
    const root = (await must(api, 200, 'GET', `/v1/snapshots/${api.snapshot}`)).id;
    const child = await childOf(root, 'e');
    const job = await api.launch();
    await api.launch();
    expect((await lineageOf(child)).jobs).toEqual([]);
    await api
      .trainer(job.id)
      .report({ sequence: 0, ledger: [await ledgerRange(api, { epoch: 0 })] });
    expect((await lineageOf(child)).jobs).toEqual([]);
    await api.database.orm.execute(sql`
      insert into draw_ledger select (l).* from (
        select jsonb_populate_record(l, jsonb_build_object('sequence', l.sequence + 1,
          'epoch', 1, 'snapshot_digest', ${child}::text)) as l
        from draw_ledger l where l.job_id = ${job.id}) copy`);
    expect((await lineageOf(child)).jobs.map(({ id }: any) => id)).toEqual([job.id]);
  });
});

test('the times of an alias end where another snapshot takes the fold, and begin again', () => {
  const at = (number: number) => new Date(Date.UTC(2026, 0, number));
  const move = (number: number, snapshots: Record<string, string>, name = 'a') => ({
    name,
    number,
    snapshots,
    createdAt: at(number),
  });
  const time = (number: number, fold: number | 'all', until: number | null, name = 'a') => ({
    name,
    number,
    fold,
    current: until === null,
    from: at(number).toISOString(),
    until: until === null ? null : at(until).toISOString(),
  });
  const moves = [
    move(1, { 0: 'x', 1: 'y' }),
    move(2, { 0: 'x', 1: 'x' }),
    move(3, { 0: 'y', 1: 'x' }),
    move(4, { 0: 'x' }),
    move(1, { all: 'y' }, 'b'),
    move(2, { all: 'x' }, 'b'),
  ];
  expect(standingsOf(moves, 'x')).toEqual([
    time(1, 0, 3),
    time(2, 1, 4),
    time(4, 0, null),
    time(2, 'all', null, 'b'),
  ]);
  expect(standingsOf(moves, 'z')).toEqual([]);
});
