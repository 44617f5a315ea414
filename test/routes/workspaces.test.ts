// Workspaces over HTTP: who makes them, what is answered once, what both chains say of it.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../api/store/database.ts';
import { openTestApp, sendingOf, type TestApp } from '../support/app.ts';
import { committedDataset, must } from '../support/builders.ts';

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});

const make = (body: object, headers?: Record<string, string>) =>
  api.call('POST', '/v1/workspaces', body, headers);
const entriesOf = async (of: TestApp, filter = '') =>
  (await must(of, 200, 'GET', `/v1/audit?limit=500${filter}`)).items;

describe('making a workspace', () => {
  test('answers the secret of its first admin once, and nobody may store the answer', async () => {
    const asked = { name: 'oncology', actor: 'ada@example.org' };
    const made = await api.send('POST', '/v1/workspaces', asked);
    expect([made.status, made.headers.get('cache-control')]).toEqual([201, 'no-store']);
    const { token, ...workspace } = (await made.json()) as any;
    const { secret, ...shown } = token;
    const createdAt = api.deps.now().toISOString();
    expect(secret).toMatch(/^cw_[0-9a-z]{52}$/);
    expect(workspace).toEqual({ id: workspace.id, name: 'oncology', createdAt });
    expect(shown).toEqual({
      id: token.id,
      name: 'first admin',
      actor: 'ada@example.org',
      role: 'admin',
      createdAt,
      expiresAt: null,
      revokedAt: null,
      lastUsedAt: null,
    });
    const ada = sendingOf(api.app, secret);
    const { items } = await must(ada, 200, 'GET', '/v1/tokens');
    expect(items).toEqual([{ ...shown, lastUsedAt: createdAt }]);
    const stored = await rows(
      api.database.orm,
      sql`select to_jsonb(t) from tokens t union all select to_jsonb(a) from audit_entries a`,
    );
    expect(JSON.stringify([stored, api.logged])).toContain('oncology');
    expect(JSON.stringify([stored, api.logged])).not.toContain(secret);
  });

  test('stands in its own chain and in that of the deployment, each with its reason', async () => {
    const reason = 'a second clinic';
    const { body } = await make({ name: 'clinic', actor: 'bo', reason });
    const own = await must(sendingOf(api.app, body.token.secret), 200, 'GET', '/v1/audit');
    const subject = `workspace/${body.id}`;
    const detail = { name: 'clinic', by: 'admin' };
    const created = { action: 'workspace.created', subject, reason };
    expect(own.items).toMatchObject([
      { ...created, sequence: 1, actor: 'deployment', detail },
      { sequence: 2, actor: 'deployment', action: 'token.created', detail: { actor: 'bo' } },
    ]);
    expect(await entriesOf(api, `&subject=${subject}`)).toMatchObject([
      { ...created, actor: 'admin', detail: { name: 'clinic', admin: 'bo' } },
    ]);
    for (const chain of [api, sendingOf(api.app, body.token.secret)]) {
      expect((await must(chain, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
    }
  });

  test('takes a name once; a refused one leaves no token and no entry', async () => {
    await make({ name: 'twice', actor: 'ada' });
    const before = [await entriesOf(api), await rows(api.database.orm, sql`select id from tokens`)];
    const again = await make({ name: 'twice', actor: 'ada' });
    expect([again.status, again.body.detail]).toEqual([
      409,
      expect.stringContaining('A workspace named "twice" is there already'),
    ]);
    const reserved = await make({ name: 'default', actor: 'ada' });
    expect(reserved.status).toBe(409);
    const after = [await entriesOf(api), await rows(api.database.orm, sql`select id from tokens`)];
    expect(after).toEqual(before);
  });

  test('of one name by many at once makes one', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => make({ name: 'raced', actor: 'ada' })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(7).fill(409)]);
    const { items } = await must(api, 200, 'GET', '/v1/workspaces?limit=500');
    expect(items.filter(({ name }: { name: string }) => name === 'raced')).toHaveLength(1);
  });

  test.each([
    [{ name: '', actor: 'ada' }, '/name'],
    [{ name: 'a b', actor: 'ada' }, '/name'],
    [{ actor: 'ada' }, '/name'],
    [{ name: 'x', actor: 'service' }, '/actor'],
    [{ name: 'x', actor: 'a\u200bda' }, '/actor'],
    [{ name: 'x', actor: 'ada', role: 'reader' }, ''],
  ])('is refused for %j, at the field', async (body, pointer) => {
    const refused = await make(body);
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, pointer]);
  });

  test('under an Idempotency-Key makes one and keeps no secret', async () => {
    const key = { 'idempotency-key': 'workspace-once' };
    const first = await make({ name: 'keyed', actor: 'ada' }, key);
    const second = await make({ name: 'keyed', actor: 'ada' }, key);
    expect([first.status, second.status]).toEqual([201, 409]);
    expect(second.body.detail).toContain('held a secret, which is not kept');
    const kept = await rows(api.database.orm, sql`select * from idempotency_keys`);
    expect(JSON.stringify(kept)).toContain('workspace-once');
    expect(JSON.stringify(kept)).not.toContain(first.body.token.secret);
  });
});

describe('the admin of the deployment', () => {
  test('is each admin of the workspace default, and nobody of another one', async () => {
    const second = await api.as('second', 'admin');
    const own = await api.inWorkspace('theirs', 'ada');
    expect((await second.call('GET', '/v1/workspaces')).status).toBe(200);
    const editor = await api.as('ed', 'editor');
    expect((await editor.call('GET', '/v1/workspaces')).body.detail).toContain('the role admin');
    for (const [method, body] of [['GET'], ['POST', { name: 'mine', actor: 'ada' }]] as const) {
      const refused = await own.call(method, '/v1/workspaces', body);
      expect([refused.status, refused.body.detail]).toEqual([
        403,
        'This is for those who run the deployment, the admins of the workspace "default"; your token is of the workspace "theirs".',
      ]);
    }
    const { items } = await must(api, 200, 'GET', '/v1/workspaces?limit=500');
    expect(items.map(({ name }: { name: string }) => name)).not.toContain('mine');
  });

  test('lists names page by page, and cannot read what is in them', async () => {
    const lab = await api.inWorkspace('lab', 'ada');
    await committedDataset(lab, { name: 'livers' });
    const all = await must(api, 200, 'GET', '/v1/workspaces?limit=500');
    expect(all.items[0].name).toBe('default');
    expect(all.items.at(-1)).toEqual({
      id: lab.workspaceId,
      name: 'lab',
      createdAt: api.deps.now().toISOString(),
    });
    const first = await must(api, 200, 'GET', '/v1/workspaces?limit=1');
    const rest = await must(api, 200, 'GET', `/v1/workspaces?limit=500&cursor=${first.nextCursor}`);
    expect([...first.items, ...rest.items]).toEqual(all.items);
    expect((await api.call('GET', '/v1/datasets/livers')).status).toBe(404);
    expect((await must(lab, 200, 'GET', '/v1/datasets/livers')).name).toBe('livers');
  });
});

test('two workspaces have a dataset of one name, and each sees its own', async () => {
  const [one, two] = [await api.inWorkspace('one'), await api.inWorkspace('two')];
  const datasets = [];
  for (const [workspace, count] of [
    [one, 20],
    [two, 30],
  ] as const) {
    await committedDataset(workspace, { name: 'phantom', count });
    datasets.push(await must(workspace, 200, 'GET', '/v1/datasets/phantom'));
    const version = await must(workspace, 200, 'GET', '/v1/datasets/phantom/versions/1');
    expect(version.caseCount).toBe(count);
  }
  expect(datasets[0].id).not.toBe(datasets[1].id);
  expect((await two.call('GET', `/v1/datasets/${datasets[0].id}`)).status).toBe(404);
});
