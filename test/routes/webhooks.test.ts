// Webhooks over HTTP: who may have one, what is shown of it, and that every change tells of itself
// in its own transaction.

import { sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { roles } from '../../api/contract/tokens.ts';
import { eventPatterns, eventTypes } from '../../api/contract/webhooks.ts';
import { rows } from '../../api/store/database.ts';
import { repositoryFiles } from '../house-rules/repository.ts';
import { findNodes, nameOf, nodesOf, type SyntaxNode } from '../house-rules/syntax.ts';
import { must } from '../support/builders.ts';
import { openWebhookTest, type WebhookTest } from '../support/webhooks.ts';

let api: WebhookTest;
beforeAll(async () => {
  api = await openWebhookTest();
});

const asked = { url: 'https://hooks.example.org/in?key=hidden', events: ['*'], reason: 'why' };
const entries = async (): Promise<any[]> =>
  (await must(api, 200, 'GET', '/v1/audit?limit=500')).items;

describe('events', () => {
  /** Texts that a file gives to the field `action` of an audit entry. */
  function actionsIn(file: { path: string; text: string }): string[] {
    return findNodes(file, 'Property')
      .filter(({ node }) => nameOf(node.key) === 'action')
      .flatMap(({ node }) => [...nodesOf(node.value as SyntaxNode)])
      .map(({ node }) => (node.type === 'Literal' ? String(node.value) : ''))
      .filter((text) => /^[a-z-]+(\.[A-Za-z-]+){1,2}$/.test(text));
  }

  test('are the actions that the service writes into the audit chain, each of them', () => {
    const files = repositoryFiles().filter(({ path }) =>
      /^api\/(services|store)\/.*\.ts$/.test(path),
    );
    const written = [...new Set(files.flatMap(actionsIn))].sort();
    expect([...eventTypes]).toEqual(written);
  });

  test('that are not listed, and names that are no actions, are told apart', () => {
    const text = "entryOf({ action: late ? 'job.lost' : 'job.found' }); f({ action: 'FailJob' });";
    expect(actionsIn({ path: 'x.ts', text })).toEqual(['job.lost', 'job.found']);
  });

  test('are asked for one by one, by family, or all', () => {
    for (const one of ['*', 'job.*', 'rule-set.*', 'job.ended']) {
      expect(eventPatterns).toContain(one);
    }
    expect(new Set(eventPatterns).size).toBe(eventPatterns.length);
  });
});

describe('a webhook', () => {
  test('shows its secret in the answer that makes it, which nobody may store', async () => {
    const response = await api.send('POST', '/v1/webhooks', asked);
    expect([response.status, response.headers.get('cache-control')]).toEqual([201, 'no-store']);
    const { secret, ...made } = (await response.json()) as any;
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const { id } = made;
    expect(made).toEqual({
      id,
      ...asked,
      state: 'active',
      createdAt: '2026-03-01T09:00:00.000Z',
      createdBy: 'admin',
      disabledAt: null,
      disabledBecause: null,
      health: {
        lastDeliveredAt: null,
        lastFailedAt: null,
        lastFailure: null,
        failingSince: null,
        pending: 0,
        dead: 0,
      },
    });
    expect(await must(api, 200, 'GET', `/v1/webhooks/${id}`)).toEqual(made);
    expect((await must(api, 200, 'GET', '/v1/webhooks')).items).toContainEqual(made);
    const everywhere = await rows(
      api.database.orm,
      sql`select (select jsonb_agg(w) from webhooks w) as hooks,
        (select jsonb_agg(a) from audit_entries a) as entries,
        (select jsonb_agg(d) from webhook_deliveries d) as deliveries,
        (select jsonb_agg(k) from idempotency_keys k) as keys`,
    );
    expect(JSON.stringify(everywhere)).not.toContain(secret.slice(6, 40));
    const audit = (await entries()).at(-1);
    expect(audit).toMatchObject({
      action: 'webhook.created',
      subject: `webhook/${id}`,
      reason: 'why',
      detail: { host: 'hooks.example.org', events: ['*'] },
    });
    expect(JSON.stringify([audit, api.logged])).not.toContain('hidden');
  });

  test.each([
    [{ url: 'http://hooks.example.org/' }, '/url', 'must start with https://'],
    [{ url: 'https://127.1/' }, '/url', 'not public'],
    [{ url: 'nonsense' }, '/url', 'cannot be read'],
    [{ url: `https://x.org/${'a'.repeat(2000)}` }, '/url', '2000'],
    [{ events: [] }, '/events', ''],
    [{ events: ['job.*', 'job.began'] }, '/events/1', 'no event of this name'],
    [{ reason: ' ' }, '/reason', 'say why'],
    [{ secret: 'whsec_mine' }, '', 'secret'],
  ])('with %j is refused, and the answer points at it', async (change, pointer, words) => {
    const before = await entries();
    const refused = await api.call('POST', '/v1/webhooks', { ...asked, ...change });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, pointer]);
    expect(JSON.stringify(refused.body)).toContain(words);
    expect(await entries()).toEqual(before);
  });

  test('for a name that leads to a private address is refused', async () => {
    api.resolveTo((name) => [name === 'inside.example.org' ? '192.168.0.7' : '93.184.215.14']);
    const url = 'https://inside.example.org/';
    const refused = await api.call('POST', '/v1/webhooks', { ...asked, url });
    expect([refused.status, refused.body.detail]).toEqual([
      422,
      expect.stringContaining('CW_WEBHOOK_ALLOW'),
    ]);
    expect(refused.body.detail).not.toContain('192.168');
  });

  test('is refused beyond twenty in a workspace', async () => {
    const few = await openWebhookTest();
    for (let k = 0; k < 20; k += 1) await few.add();
    const refused = await few.call('POST', '/v1/webhooks', asked);
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      expect.stringContaining('remove one'),
    ]);
    const all = await must(few, 200, 'GET', '/v1/webhooks?limit=15');
    const rest = await must(few, 200, 'GET', `/v1/webhooks?limit=15&cursor=${all.nextCursor}`);
    expect(new Set([...all.items, ...rest.items].map(({ id }) => id)).size).toBe(20);
  });

  test('without a key of the deployment is refused with the variable to set', async () => {
    api.deps.webhooks = undefined;
    const { id } = (await must(api, 200, 'GET', '/v1/webhooks')).items[0];
    const refused = [
      await api.call('POST', '/v1/webhooks', asked),
      await api.call('POST', `/v1/webhooks/${id}/test`),
      await api.call('POST', `/v1/webhooks/${id}/deliveries/x/redeliver`),
    ];
    api.deps.webhooks = api.webhooks;
    for (const { status, body } of refused) {
      expect([status, body.detail]).toEqual([422, expect.stringContaining('CW_WEBHOOK_KEY')]);
    }
  });

  test('is gone when it is removed, with its deliveries; a second time it is not found', async () => {
    const { id } = await api.add();
    await api.happen();
    const removed = await must(api, 200, 'DELETE', `/v1/webhooks/${id}`);
    expect(removed).toMatchObject({ id, health: { pending: 1 } });
    for (const path of [`/v1/webhooks/${id}`, `/v1/webhooks/${id}/deliveries`]) {
      expect((await api.call('GET', path)).status).toBe(404);
    }
    expect((await api.call('DELETE', `/v1/webhooks/${id}`)).status).toBe(404);
    expect((await entries()).filter(({ action }) => action === 'webhook.removed')).toHaveLength(1);
  });

  test.each(roles.filter((role) => role !== 'admin'))('is nothing for a %s', async (role) => {
    const { id } = await api.add();
    const someone = await api.as(`a ${role}`, role);
    const requests = [
      ['GET', '/v1/webhooks'],
      ['POST', '/v1/webhooks'],
      ['GET', `/v1/webhooks/${id}`],
      ['DELETE', `/v1/webhooks/${id}`],
      ['POST', `/v1/webhooks/${id}/enable`],
      ['POST', `/v1/webhooks/${id}/test`],
      ['GET', `/v1/webhooks/${id}/deliveries`],
      ['POST', `/v1/webhooks/${id}/deliveries/x/redeliver`],
    ];
    for (const [method, path] of requests) {
      expect([
        path,
        (await someone.call(method, path, method === 'GET' ? undefined : asked)).status,
      ]).toEqual([path, 403]);
    }
    await must(api, 200, 'DELETE', `/v1/webhooks/${id}`);
  });
});

describe('what happens', () => {
  test('is written down for the webhooks that ask for it, with its audit entry or not at all', async () => {
    const { id: all } = await api.add(['*']);
    const { id: family } = await api.add(['dataset.*', 'dataset.created']);
    const { id: others } = await api.add(['job.*', 'snapshot.frozen']);
    const types = async (id: string) => (await api.deliveries(id)).map(({ type }) => type);
    const before = (await api.deliveries(all)).length;
    const body = { name: 'told', attributes: {} };
    await must(api, 201, 'POST', '/v1/datasets', body);
    expect((await api.call('POST', '/v1/datasets', body)).status).toBe(409);
    expect((await types(all)).slice(0, -before)).toEqual(['dataset.created']);
    expect([await types(family), await types(others)]).toEqual([['dataset.created'], []]);
    const [{ sequence }] = await api.deliveries(family);
    expect((await entries()).at(-1).sequence).toBe(sequence);
    for (const id of [all, family, others]) await must(api, 200, 'DELETE', `/v1/webhooks/${id}`);
  });

  test('takes its entry back where the outbox cannot be written', async () => {
    const broken = await openWebhookTest();
    await broken.add();
    await broken.database.script(`create function refuse() returns trigger language plpgsql
      as $$ begin raise exception 'no'; end $$;
      create trigger refuse before insert on webhook_deliveries execute function refuse();`);
    const body = { name: 'lost', attributes: {} };
    expect((await broken.call('POST', '/v1/datasets', body)).status).toBe(500);
    expect((await broken.call('GET', '/v1/datasets/lost')).status).toBe(404);
    const { items } = await must(broken, 200, 'GET', '/v1/audit');
    expect(items.map(({ action }: any) => action)).not.toContain('dataset.created');
  });
});

describe('a test', () => {
  test('sends a ping at once and answers what came of it, in one try', async () => {
    const { id } = await api.add(['job.ended']);
    const ping = await must(api, 200, 'POST', `/v1/webhooks/${id}/test`);
    expect(ping).toMatchObject({ type: 'ping', sequence: null, state: 'delivered', attempts: 1 });
    expect(api.received.at(-1)?.event).toMatchObject({ id: ping.id, type: 'ping', data: {} });
    api.answerWith(() => ({ status: 401, text: 'who are you' }));
    const failed = await must(api, 200, 'POST', `/v1/webhooks/${id}/test`);
    expect(failed).toMatchObject({ state: 'dead', lastFailure: 'answered 401: who are you' });
    api.moveClock(86_400_000);
    await api.tick();
    expect(api.received.filter(({ event }) => event.id === failed.id)).toHaveLength(1);
    api.answerWith(() => ({}));
  });
});

test('deliveries are listed newest first, in pages, by state', async () => {
  const { id } = await api.add(['token.*']);
  for (let k = 0; k < 5; k += 1) await api.happen();
  const first = await must(api, 200, 'GET', `/v1/webhooks/${id}/deliveries?limit=3`);
  const path = `/v1/webhooks/${id}/deliveries?limit=3&cursor=${first.nextCursor}`;
  const second = await must(api, 200, 'GET', path);
  const sequences = [...first.items, ...second.items].map(({ sequence }) => sequence);
  expect([sequences.length, second.nextCursor]).toEqual([5, null]);
  expect(sequences).toEqual(sequences.toSorted((a, b) => b - a));
  expect(await api.deliveries(id, 'dead')).toEqual([]);
  expect(await api.deliveries(id, 'pending')).toHaveLength(5);
  expect((await api.call('GET', `/v1/webhooks/${id}/deliveries?state=lost`)).status).toBe(400);
  const missing = await api.call('POST', `/v1/webhooks/${id}/deliveries/evt_x/redeliver`);
  expect([missing.status, missing.body.detail]).toEqual([404, expect.stringContaining('30 days')]);
});
