// Tokens over HTTP, and what each role may do. What is refused is also shown to be let through with
// the right role, so that no refusal comes from something else.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { createApp, openApiDocument } from '../../api/app.ts';
import { type Role, roles } from '../../api/contract/tokens.ts';
import type { Deps } from '../../api/deps.ts';
import { mayAct, roleOf, rolePaths } from '../../api/http/roles.ts';
import { bootstrapAdmin } from '../../api/services/access.ts';
import { rows } from '../../api/store/database.ts';
import { adminToken, openTestApp, type TestApp } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { openJobTest } from '../support/jobs.ts';

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});

const request = { name: 'laptop', actor: 'ada@example.org', role: 'editor' };
const make = (body: object, headers?: Record<string, string>) =>
  api.call('POST', '/v1/tokens', body, headers);
const withToken = (token: string) => ({ authorization: `Bearer ${token}` });

describe('making a token', () => {
  test('answers the secret once; nothing that is read or stored later has it', async () => {
    const expiresAt = '2026-03-02T10:00:00+01:00';
    const made = await api.send('POST', '/v1/tokens', { ...request, expiresAt });
    expect([made.status, made.headers.get('cache-control')]).toEqual([201, 'no-store']);
    const { secret, ...token } = (await made.json()) as { secret: string; id: string };
    expect(secret).toMatch(/^cw_[0-9a-z]{52}$/);
    expect(token).toEqual({
      ...request,
      id: token.id,
      createdAt: api.deps.now().toISOString(),
      expiresAt: '2026-03-02T09:00:00.000Z',
      revokedAt: null,
      lastUsedAt: null,
    });
    const { items } = await must(api, 200, 'GET', '/v1/tokens');
    expect(items.at(-1)).toEqual(token);
    const audit = await must(api, 200, 'GET', `/v1/audit?subject=token/${token.id}`);
    expect(audit.items).toMatchObject([
      { actor: 'admin', action: 'token.created', detail: { ...request } },
    ]);
    expect(JSON.stringify([items, audit, api.logged])).not.toContain(secret);
  });

  test('names the actor of what is done with it', async () => {
    const ada = await api.as('ada', 'editor');
    const body = { name: 'of-ada', attributes: {} };
    expect((await ada.call('POST', '/v1/datasets', body)).body.createdBy).toBe('ada');
  });

  test('takes an actor in one form only, so that two who look alike are one', async () => {
    const { body } = await make({ ...request, actor: ' Zoe\u0308 ' });
    expect(body.actor).toBe('Zo\u00eb');
    for (const actor of ['', ' ', 'a\u200bda', 'service', 'deployment', 'x'.repeat(101)]) {
      const refused = await make({ ...request, actor });
      expect([actor, refused.status, refused.body.errors?.[0].pointer]).toEqual([
        actor,
        422,
        '/actor',
      ]);
    }
  });

  test('is refused for an unknown role, a time gone by, and keys that nobody reads', async () => {
    const gone = await make({ ...request, expiresAt: api.deps.now().toISOString() });
    expect([gone.status, gone.body.errors]).toEqual([
      422,
      [{ pointer: '/expiresAt', detail: 'not in the future' }],
    ]);
    expect((await make({ ...request, role: 'owner' })).status).toBe(422);
    expect((await make({ ...request, workspace: 'other' })).status).toBe(422);
    expect((await make({ ...request, expiresAt: 'tomorrow' })).status).toBe(422);
  });

  test('under an Idempotency-Key makes one token and keeps no secret', async () => {
    const key = { 'idempotency-key': 'token-once' };
    const first = await make({ ...request, name: 'once' }, key);
    const second = await make({ ...request, name: 'once' }, key);
    expect([first.status, second.status]).toEqual([201, 409]);
    expect(second.body.detail).toContain('held a secret, which is not kept');
    const { items } = await must(api, 200, 'GET', '/v1/tokens?limit=500');
    expect(items.filter((item: { name: string }) => item.name === 'once')).toHaveLength(1);
    const kept = await rows(api.database.orm, sql`select * from idempotency_keys`);
    expect(JSON.stringify(kept)).toContain('token-once');
    expect(JSON.stringify(kept)).not.toContain(first.body.secret);
  });

  test('is listed in pages, each once', async () => {
    const all = await must(api, 200, 'GET', '/v1/tokens?limit=500');
    const first = await must(api, 200, 'GET', '/v1/tokens?limit=2');
    const rest = await must(api, 200, 'GET', `/v1/tokens?limit=500&cursor=${first.nextCursor}`);
    expect([...first.items, ...rest.items]).toEqual(all.items);
  });
});

describe('a token that no longer holds', () => {
  test('is refused at once after it was revoked, and again changes nothing', async () => {
    const eve = await api.as('eve', 'editor');
    expect((await eve.call('GET', '/v1/datasets')).status).toBe(200);
    const revoked = await must(api, 200, 'DELETE', `/v1/tokens/${eve.tokenId}`);
    expect(revoked).toMatchObject({ id: eve.tokenId, revokedAt: api.deps.now().toISOString() });
    const refused = await eve.call('GET', '/v1/datasets');
    expect([refused.status, refused.body.detail]).toEqual([
      401,
      expect.stringContaining('was revoked'),
    ]);
    api.moveClock(1000);
    expect(await must(api, 200, 'DELETE', `/v1/tokens/${eve.tokenId}`)).toEqual(revoked);
    const { items } = await must(api, 200, 'GET', `/v1/audit?subject=token/${eve.tokenId}`);
    expect(items.map((entry: { action: string }) => entry.action)).toEqual([
      'token.created',
      'token.revoked',
    ]);
  });

  test('is refused from the moment at which it expires', async () => {
    const at = new Date(api.deps.now().getTime() + 60_000).toISOString();
    const { body } = await make({ ...request, expiresAt: at });
    const ask = () => api.call('GET', '/v1/datasets', undefined, withToken(body.secret));
    api.moveClock(59_999);
    expect((await ask()).status).toBe(200);
    api.moveClock(1);
    expect((await ask()).status).toBe(401);
  });

  test('is not that of another workspace, and not one that nobody made', async () => {
    expect((await api.call('DELETE', '/v1/tokens/nothing')).status).toBe(404);
  });

  test('is never the last one of an admin; one that expired does not count as another', async () => {
    const own = await openTestApp();
    const { items } = await must(own, 200, 'GET', '/v1/tokens');
    await own.as('ed', 'editor');
    const expiresAt = new Date(own.deps.now().getTime() + 1000).toISOString();
    const brief = { name: 'brief', actor: 'bo', role: 'admin', expiresAt };
    await must(own, 201, 'POST', '/v1/tokens', brief);
    own.moveClock(1000);
    const last = await own.call('DELETE', `/v1/tokens/${items[0].id}`);
    expect([last.status, last.body.detail]).toEqual([409, expect.stringContaining('last admin')]);
    expect((await must(own, 200, 'GET', '/v1/tokens')).items[0].revokedAt).toBeNull();
    const { items: entries } = await must(own, 200, 'GET', '/v1/audit?action=token.revoked');
    expect(entries).toEqual([]);
    const bo = await own.as('bo', 'admin');
    expect((await bo.call('DELETE', `/v1/tokens/${items[0].id}`)).status).toBe(200);
    await expect(bootstrapAdmin(own.deps, adminToken)).rejects.toThrow('was revoked here');
    expect((await own.call('GET', '/v1/datasets')).status).toBe(401);
  });
});

describe('the last use of a token', () => {
  const shown = async (id: string) =>
    (await must(api, 200, 'GET', '/v1/tokens?limit=500')).items.find(
      (item: { id: string }) => item.id === id,
    ).lastUsedAt;
  // The version of a row changes with every write to it.
  const writtenBy = async (id: string) =>
    (
      await rows(api.database.orm, sql`select xmin::text, ctid::text from tokens where id = ${id}`)
    )[0];

  test('is noted, also where the role does not suffice, and once a minute at most', async () => {
    const uma = await api.as('uma', 'reader');
    expect(await shown(uma.tokenId)).toBeNull();
    await uma.call('POST', '/v1/datasets', {});
    const first = api.deps.now().toISOString();
    expect(await shown(uma.tokenId)).toBe(first);
    const version = await writtenBy(uma.tokenId);
    api.moveClock(59_999);
    await uma.call('GET', '/v1/datasets');
    expect([await shown(uma.tokenId), await writtenBy(uma.tokenId)]).toEqual([first, version]);
    api.moveClock(1);
    await uma.call('GET', '/v1/datasets');
    expect(await shown(uma.tokenId)).toBe(api.deps.now().toISOString());
    expect(await writtenBy(uma.tokenId)).not.toEqual(version);
  });

  test('is not that of a request with a token that no longer holds', async () => {
    const uma = await api.as('uma', 'reader');
    await must(api, 200, 'DELETE', `/v1/tokens/${uma.tokenId}`);
    expect((await uma.call('GET', '/v1/datasets')).status).toBe(401);
    expect(await shown(uma.tokenId)).toBeNull();
  });
});

describe('a stream of events', () => {
  test('ends when the token that asked for it is revoked', async () => {
    const own = await openJobTest();
    const job = await own.launch();
    const path = `/v1/jobs/${job.id}/events`;
    const { items } = await must(own, 200, 'GET', path);
    const eve = await own.as('eve', 'reader');
    const live = await eve.send('GET', path, undefined, { accept: 'text/event-stream' });
    const reader = (live.body as ReadableStream<Uint8Array>).getReader();
    let text = new TextDecoder().decode((await reader.read()).value);
    await must(own, 200, 'DELETE', `/v1/tokens/${eve.tokenId}`);
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += new TextDecoder().decode(part.value);
    }
    expect(text.match(/^id: /gm)?.length).toBeLessThanOrEqual(items.length);
    expect((await own.read(job.id)).endedAt).toBeNull();
    await own.database.close();
  });
});

describe('a role', () => {
  const routes = Object.entries(
    openApiDocument(createApp({ log: () => {}, database: {} } as unknown as Deps), 'test').paths ??
      {},
  ).flatMap(([path, methods]) =>
    Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
  );

  /** Asked with something else than a token of a role. */
  const withoutRole = /\/v1\/(trainer\/|github\/exchange$)/;

  test('stands in the table for every path that changes something, and no row is stale', () => {
    const listed = Object.values(rolePaths).flat();
    expect(new Set(listed).size).toBe(listed.length);
    expect(listed.filter((row) => !routes.includes(row))).toEqual([]);
    const changing = routes.filter((route) => !/^GET /.test(route) && !withoutRole.test(route));
    expect(changing.filter((route) => !listed.includes(route))).toEqual([]);
  });

  test('reads with any but that of agents, does its own work with one, everything as admin', () => {
    const able = (needed: Role) => roles.filter((role) => mayAct(role, needed));
    expect(able('reader')).toEqual(roles.filter((role) => role !== 'agent'));
    for (const needed of ['editor', 'launcher', 'approver', 'agent'] as const) {
      expect(able(needed)).toEqual([needed, 'admin']);
    }
    expect(able('admin')).toEqual(['admin']);
  });

  test('a path of no row: anyone may GET, only admins change', () => {
    expect([roleOf('GET /v1/nothing'), roleOf('POST /v1/nothing')]).toEqual(['reader', 'admin']);
  });

  test.each(roles)('%s is refused with 403 exactly where the table says so', async (role) => {
    const someone = await api.as(`some-${role}`, role);
    const before = await must(api, 200, 'GET', '/v1/audit/head');
    for (const route of routes.filter((one) => /\/v1\//.test(one) && !withoutRole.test(one))) {
      const [method, template] = route.split(' ');
      const path = template.replaceAll('{n}', '1').replaceAll(/\{\w+\}/g, 'nothing');
      const response = await someone.send(method, path, method === 'GET' ? undefined : {});
      const needed = roleOf(route);
      expect([route, response.status === 403]).toEqual([route, !mayAct(role, needed)]);
      if (response.status === 403) expect(await response.text()).toContain(`the role ${needed}`);
      else await response.body?.cancel();
    }
    expect(await must(api, 200, 'GET', '/v1/audit/head')).toEqual(before);
  });

  test('does not hide that a path or a method is unknown', async () => {
    const reader = await api.as('rita', 'reader');
    expect((await reader.call('POST', '/v1/nothing', {})).status).toBe(404);
    expect((await reader.call('PATCH', '/v1/datasets/x', {})).status).toBe(405);
    expect((await reader.send('HEAD', '/v1/tokens')).status).toBe(403);
    expect((await api.send('HEAD', '/v1/tokens')).status).toBe(200);
  });
});
