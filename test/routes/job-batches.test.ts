// A job for each fold of an alias with one request: all launched or none, and each knows the alias
// and the move that it was launched by.

import { beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { launchAlias } from '../../api/services/jobs/launch.ts';
import { must } from '../support/builders.ts';
import { type JobTest, jobSettings, openJobTest } from '../support/jobs.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

let api: JobTest;
let frozen: { id: string; digest: string; header: { fold: number } }[];
beforeAll(async () => {
  api = await openJobTest();
  frozen = await freeze([0, 1, 2]);
  await put('production', [0, 1, 2]);
});

async function freeze(folds: number[]) {
  const body = { version: 1, split: 'five-fold', folds, ruleSet: 'rare@1', reason: 'every fold' };
  const path = '/v1/datasets/phantom/snapshots';
  const { status, body: answer } = await api.call('POST', path, body);
  expect([200, 201]).toContain(status);
  return answer.items;
}

async function put(alias: string, folds: number[], snapshots = frozen) {
  const named = snapshots.filter(({ header }) => folds.includes(header.fold));
  const body = {
    snapshots: Object.fromEntries(named.map(({ id, header }) => [header.fold, id])),
    reason: 'it did well',
  };
  const { status } = await api.call('PUT', `/v1/datasets/phantom/aliases/${alias}`, body);
  expect([200, 201]).toContain(status);
}

const asked = {
  dataset: 'phantom',
  alias: 'production',
  target: 'local',
  seed: 7,
  settings: jobSettings,
  reason: 'every fold',
};
const launch = (body: object = {}) => api.call('POST', '/v1/jobs', { ...asked, ...body });
const countJobs = async () => (await must(api, 200, 'GET', '/v1/jobs?limit=500')).items.length;

describe('launching by an alias', () => {
  test('answers a job per fold, which knows alias, move and batch, and is submitted', async () => {
    const made = await launch();
    expect(made.status).toBe(201);
    const { batch, items } = made.body;
    expect(items.map((job: any) => [job.snapshot, job.alias, job.batch])).toEqual(
      frozen.map(({ id, digest, header }) => [
        { id, digest, fold: header.fold },
        { name: 'production', number: 1 },
        batch,
      ]),
    );
    for (const { id } of items) {
      expect(api.launcher.launches.has(api.keyOf(id))).toBe(true);
      const { items: entries } = await must(api, 200, 'GET', `/v1/audit?subject=job/${id}`);
      expect(entries).toMatchObject([
        {
          action: 'job.launched',
          reason: 'every fold',
          detail: { batch, alias: { name: 'production', number: 1 } },
        },
      ]);
    }
    const list = await must(api, 200, 'GET', `/v1/jobs?batch=${batch}`);
    expect(list.items.map(({ id }: any) => id).sort()).toEqual(
      items.map(({ id }: any) => id).sort(),
    );
    expect((await must(api, 200, 'GET', '/v1/jobs?batch=other')).items).toEqual([]);
  });

  test('takes only the folds that are asked for, in that order', async () => {
    const { body } = await launch({ folds: [2, 0] });
    expect(body.items.map((job: any) => job.snapshot.fold)).toEqual([2, 0]);
  });

  test('keeps the move that it was launched by when the alias moves on', async () => {
    await put('moving', [0]);
    const first = (await launch({ alias: 'moving' })).body.items[0];
    await put('moving', [1]);
    const second = (await launch({ alias: 'moving' })).body.items[0];
    expect([first.alias.number, second.alias.number, second.snapshot.fold]).toEqual([1, 2, 1]);
    expect((await api.read(first.id)).snapshot.id).toBe(frozen[0].id);
    const one = await api.launch({ snapshot: 'phantom@moving' });
    expect([one.alias, one.batch, one.snapshot.id]).toEqual([
      { name: 'moving', number: 2 },
      null,
      frozen[1].id,
    ]);
    expect((await api.launch({ snapshot: frozen[1].digest })).alias).toBeNull();
  });

  test('as a dry run answers a request per fold and stores nothing', async () => {
    const before = await countJobs();
    const dry = await launch({ dryRun: true, folds: [1, 2] });
    expect(dry.status).toBe(200);
    expect(dry.body.items.map((one: any) => one.fold)).toEqual([1, 2]);
    const keys = dry.body.items.map((one: any) => one.request.launchKey);
    expect(new Set(keys).size).toBe(2);
    expect(await countJobs()).toBe(before);
  });

  test('sent again with its key launches once', async () => {
    const key = { 'idempotency-key': 'batch-once' };
    const first = await api.call('POST', '/v1/jobs', asked, key);
    const count = await countJobs();
    const second = await api.call('POST', '/v1/jobs', asked, key);
    expect([second, await countJobs()]).toEqual([first, count]);
  });

  test('launches none where a fold, the alias or the target is not there', async () => {
    const before = await countJobs();
    const folds = await launch({ folds: [0, 4, 'all'] });
    expect([folds.status, folds.body.errors]).toEqual([
      422,
      [
        { pointer: '/folds/1', detail: 'no fold 4' },
        { pointer: '/folds/2', detail: 'no fold all' },
      ],
    ]);
    for (const [body, status] of [
      [{ alias: 'nothing' }, 404],
      [{ dataset: 'nothing' }, 404],
      [{ snapshot: frozen[0].id }, 422],
      [{ alias: undefined }, 422],
      [{ dataset: undefined }, 422],
      [{ folds: [0, 0] }, 422],
      [{ snapshot: frozen[0].id, alias: undefined, dataset: undefined, folds: [0] }, 422],
      [{ target: 'nowhere' }, 422],
    ] as const) {
      expect([body, (await launch(body)).status]).toEqual([body, status]);
    }
    expect(await countJobs()).toBe(before);
  });

  test('launches none where one fold holds a withdrawn case, unless accepted', async () => {
    // On the training side of the folds 0 and 2, and validated in fold 1.
    const gone = { caseId: 'case_0001', reason: 'consent' };
    await must(api, 201, 'POST', '/v1/datasets/phantom/withdrawals', gone);
    const before = await countJobs();
    const refused = await launch({ folds: [1, 2] });
    expect([refused.status, refused.body.errors]).toEqual([
      409,
      [{ caseId: 'case_0001', detail: 'withdrawn' }],
    ]);
    expect(refused.body.detail).toContain('Fold 2, and so no job: ');
    expect(await countJobs()).toBe(before);
    expect((await launch({ folds: [1] })).status).toBe(201);
    const accepted = await launch({ folds: [1, 2], acceptWithdrawn: true });
    const [, { id }] = accepted.body.items;
    const { items } = await must(api, 200, 'GET', `/v1/audit?subject=job/${id}`);
    expect(items[0].detail.acceptedWithdrawn).toEqual(['case_0001']);
  });

  test('launches none where a case is withdrawn meanwhile', async () => {
    await put('fresh', [0, 1], await freeze([0, 1]));
    const gone = { caseId: 'case_0007', reason: 'consent' };
    const withdraw = () => must(api, 201, 'POST', '/v1/datasets/phantom/withdrawals', gone);
    const before = await countJobs();
    const actor = await actorOfToken(api.deps, api.token);
    const input = { ...asked, alias: 'fresh', monitors: {}, resources: {} } as never;
    await expect(
      launchAlias(withMeanwhile(api.deps, withdraw), actor, input),
    ).rejects.toMatchObject({ kind: 'conflict' });
    expect(await countJobs()).toBe(before);
  });
});
