// Requests under an Idempotency-Key whose first one has not answered, or never will.

import { beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { sha256Text } from '../../api/ids.ts';
import { answerKeeper, claimedForMs } from '../../api/services/idempotency.ts';
import { adminToken, openTestApp, type TestApp } from '../support/app.ts';
import { jobSettings, openJobTest } from '../support/jobs.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

let api: TestApp;
let workspaceId: string;
beforeAll(async () => {
  api = await openTestApp();
  await api.call('POST', '/v1/datasets', { name: 'first', attributes: {} });
  const result = await api.database.orm.execute('select id from workspaces');
  workspaceId = (result as unknown as { rows: { id: string }[] }).rows[0].id;
});

const create = (name: string, key: string) =>
  api.call('POST', '/v1/datasets', { name, attributes: {} }, { 'idempotency-key': key });

test('of requests at once under one key, one is served and stored', async () => {
  const answers = await Promise.all([1, 2, 3].map(() => create('once', 'k1')));
  const ids = answers.filter(({ status }) => status === 201).map(({ body }) => body.id);
  expect(new Set(ids).size).toBe(1);
  expect(answers.every(({ status }) => status === 201 || status === 409)).toBe(true);
});

test('an answer is given again for seven days, and forgotten then', async () => {
  const first = await create('week', 'k2');
  api.moveClock(7 * day - minute);
  expect(await create('week', 'k2')).toEqual(first);
  api.moveClock(2 * minute);
  expect((await create('week', 'k2')).body.detail).toContain('"week" is there already');
});

describe('a claim', () => {
  const claimOf = (key: string, requestDigest = 'sha256:x') => ({
    workspaceId,
    key,
    requestDigest,
  });

  test('of a server that has died is taken over in seconds, for the same request only', async () => {
    const keeper = answerKeeper(api.deps);
    expect(await keeper.claim(claimOf('k3'))).toMatchObject({ is: 'claimed' });
    expect(await keeper.claim(claimOf('k3'))).toEqual({ is: 'running', retryAfterSeconds: 2 });
    expect(await keeper.claim(claimOf('k3', 'sha256:y'))).toEqual({ is: 'other' });
    api.moveClock(claimedForMs + 1);
    expect(await keeper.claim(claimOf('k3', 'sha256:y'))).toEqual({ is: 'other' });
    expect(await keeper.claim(claimOf('k3'))).toMatchObject({ is: 'claimed' });
  });

  test('that is renewed is taken over by nobody', async () => {
    const keeper = answerKeeper(api.deps);
    const mine = await keeper.claim(claimOf('k4'));
    if (mine.is !== 'claimed') throw new Error(mine.is);
    for (let times = 0; times < 3; times += 1) {
      api.moveClock(keeper.renewedEveryMs * 2);
      await keeper.renew(mine.claim);
      expect(await keeper.claim(claimOf('k4'))).toMatchObject({ is: 'running' });
    }
  });

  test('that was lost keeps and releases nothing of whoever has it now', async () => {
    const keeper = answerKeeper(api.deps);
    const lost = await keeper.claim(claimOf('k5'));
    if (lost.is !== 'claimed') throw new Error(lost.is);
    api.moveClock(claimedForMs + 1);
    expect(await keeper.claim(claimOf('k5'))).toMatchObject({ is: 'claimed' });
    await keeper.keep({ claim: lost.claim, answer: { status: 201, body: '"lost"' } });
    await keeper.release(lost.claim);
    expect(await keeper.claim(claimOf('k5'))).toMatchObject({ is: 'running' });
  });
});

const posted = (key: string, body: unknown) => ({
  method: 'POST',
  headers: {
    authorization: `Bearer ${adminToken}`,
    'content-type': 'application/json',
    'idempotency-key': key,
  },
  body: JSON.stringify(body),
});

test('a request that loses its claim on the way stores nothing; its repeat does, once', async () => {
  // Another process serves the repeat while this one stands still for longer than its claim lasts.
  const other = await openTestApp({ database: api.database, process: 2 });
  other.moveClock(9 * day);
  const rules = { target: { terms: [] }, sampling: { terms: [] } };
  const request = posted('k6', { name: 'slow', rules, reason: 'r' });
  const path = '/v1/datasets/first/rule-sets';
  let repeat: Response | undefined;
  const slow = createApp(
    withMeanwhile(api.deps, async () => {
      repeat = await other.app.request(path, request);
    }),
  );
  const first = await slow.request(path, request);
  expect([repeat?.status, first.status, first.headers.get('retry-after')]).toEqual([201, 409, '1']);
  const again = await other.app.request(path, request);
  expect(await again.json()).toEqual(await repeat?.json());
  const { items } = (await api.call('GET', path)).body;
  expect(items.map((each: { version: number }) => each.version)).toEqual([1]);
});

test('also while the repeat is still being served', async () => {
  const path = '/v1/datasets/first/rule-sets';
  const rules = { target: { terms: [] }, sampling: { terms: [] } };
  const request = posted('k8', { name: 'slower', rules, reason: 'r' });
  const requestDigest = await sha256Text(`${path}\n${request.body}`);
  const later = () => new Date(api.deps.now().getTime() + claimedForMs + 1);
  const slow = createApp(
    withMeanwhile(api.deps, async () => {
      const claim = { workspaceId, key: 'k8', requestDigest };
      const taken = await answerKeeper({ ...api.deps, now: later }).claim(claim);
      expect(taken.is).toBe('claimed');
    }),
  );
  expect((await slow.request(path, request)).status).toBe(409);
  expect((await api.call('GET', `${path}/slower`)).status).toBe(404);
});

test('a request that fails after it has stored something is not made twice', async () => {
  const api = await openJobTest();
  const launch = { snapshot: api.snapshot, target: 'local', seed: 1, settings: jobSettings };
  const request = posted('k7', { ...launch, reason: 'r' });
  const failing = createApp({
    ...api.deps,
    launcherOf: async (target) => {
      const launcher = await api.deps.launcherOf(target);
      return { ...launcher, find: () => Promise.reject(new Error('a fault of ours')) };
    },
    log: (level) => {
      if (level === 'warn') throw new Error('and the log is full');
    },
  });
  expect((await failing.request('/v1/jobs', request)).status).toBe(500);
  const repeat = await api.app.request('/v1/jobs', request);
  const { items } = (await api.call('GET', '/v1/jobs')).body;
  expect([repeat.status, items.length]).toEqual([201, 1]);
  expect((await repeat.json()).id).toBe(items[0].id);
});

test('old keys are swept by new ones', async () => {
  const count = async () => {
    const sql = `select count(*)::int as count from idempotency_keys where key like 'old%'`;
    const result = await api.database.orm.execute(sql);
    return (result as unknown as { rows: { count: number }[] }).rows[0].count;
  };
  const keeper = answerKeeper(api.deps);
  const claim = (key: string) => keeper.claim({ workspaceId, key, requestDigest: 'x' });
  for (let k = 0; k < 45; k++) await claim(`old${k}`);
  expect(await count()).toBe(45);
  api.moveClock(8 * day);
  await claim('new1');
  await claim('new2');
  expect(await count()).toBeLessThan(20);
  await claim('new3');
  expect(await count()).toBe(0);
});

test('a key over 255 characters, or of none, is refused', async () => {
  expect((await create('none', '')).status).toBe(400);
  expect((await create('long', 'x'.repeat(256))).status).toBe(400);
  expect((await api.call('GET', '/v1/datasets/long')).status).toBe(404);
});
