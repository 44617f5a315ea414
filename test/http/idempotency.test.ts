// Requests under an Idempotency-Key whose first one has not answered, or never will.

import { beforeAll, expect, test } from 'vitest';
import { sha256Text } from '../../api/ids.ts';
import { answerKeeper } from '../../api/services/idempotency.ts';
import { openTestApp, type TestApp } from '../support/app.ts';

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

test('a request that was cut off is not served again in silence: that is said', async () => {
  const keeper = answerKeeper(api.deps);
  const claim = { workspaceId, key: 'k3', requestDigest: 'sha256:x' };
  expect(await keeper.claim(claim)).toBe('claimed');
  expect(await keeper.claim(claim)).toBe('running');
  expect(await keeper.claim({ ...claim, requestDigest: 'sha256:y' })).toBe('other-body');
  api.moveClock(10 * minute);
  expect(await keeper.claim(claim)).toBe('unanswered');
});

test('a key over 255 characters is refused', async () => {
  expect((await create('long', 'x'.repeat(256))).status).toBe(400);
  expect((await api.call('GET', '/v1/datasets/long')).status).toBe(404);
});

test('a key whose first request still runs says when to ask again', async () => {
  const body = JSON.stringify({ name: 'slow', attributes: {} });
  const requestDigest = await sha256Text(`/v1/datasets\n${body}`);
  await answerKeeper(api.deps).claim({ workspaceId, key: 'k4', requestDigest });
  const headers = { 'content-type': 'application/json', 'idempotency-key': 'k4' };
  const answer = await api.send('POST', '/v1/datasets', body, headers);
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([409, '1']);
});
