// The keys of an issuer: fetched when they are needed, kept, asked for again when they change, and
// away now and then.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { type GithubTest, openGithubTest } from '../support/github.ts';
import { runClaims, signedBy, type TestIssuer } from '../support/github-issuer.ts';

let api: GithubTest;
beforeAll(async () => {
  api = await openGithubTest();
  await api.policy();
});
afterAll(() => api.closeAll());

describe('the keys of an issuer', () => {
  let own: TestIssuer;
  const claims = () => runClaims(api.deps.now(), { iss: own.issuer });
  let wall: number;
  beforeAll(async () => {
    own = api.issuer;
    wall = Date.now();
    vi.useFakeTimers({ toFake: ['Date'], now: wall }); // jose keeps keys by this clock
  });
  afterAll(() => {
    vi.useRealTimers();
  });
  const later = (milliseconds: number) => {
    wall += milliseconds;
    vi.setSystemTime(wall);
    api.moveClock(milliseconds);
  };
  const exchange = async () => await api.exchangeToken(await own.sign(claims()));

  test('that are away are no fault of the token, and are not asked for without a pause', async () => {
    own.status = 500;
    const response = await api.app.request('/v1/github/exchange', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: await own.sign(claims()) }),
    });
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '5']);
    expect(((await response.json()) as { detail: string }).detail).toContain(own.issuer);
    own.status = 200;
    const asked = own.fetched;
    expect((await exchange()).status).toBe(503);
    expect(own.fetched).toBe(asked);
    later(5_000);
    expect((await exchange()).status).toBe(201);
    expect(own.fetched).toBe(asked + 1);
  });

  test('are fetched once for many tokens, and unknown names cannot make it fetch again and again', async () => {
    const asked = own.fetched;
    for (let k = 0; k < 5; k++) expect((await exchange()).status).toBe(201);
    for (let k = 0; k < 5; k++) {
      const unknown = await own.sign(claims(), { kid: `unknown-${k}` });
      expect((await api.exchangeToken(unknown)).status).toBe(401);
    }
    expect(own.fetched).toBe(asked);
  });

  test('rotate: a new one is found, an old one holds no more', async () => {
    later(31_000);
    const old = own.key;
    await own.rotate();
    expect((await exchange()).status).toBe(201);
    const { status } = await api.exchangeToken(await signedBy(old, claims()));
    expect(status).toBe(401);
  });

  test('that are no keys are as if they were away', async () => {
    later(700_000);
    own.keys = 'none' as never;
    expect((await exchange()).status).toBe(503);
  });

  test('that nobody serves are away', async () => {
    own.close();
    later(6_000);
    const { status, body } = await exchange();
    expect([status, body.detail]).toEqual([503, expect.stringContaining('try again soon')]);
  });
});
