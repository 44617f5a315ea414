// The outbox and its tick: what is told and when it is tried again, with a clock that a test moves
// and receivers from memory.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { pausesMs, retryAfterOf } from '../../../api/services/webhooks/attempt.ts';
import {
  forgetDeliveries,
  keptForMs,
  startDelivering,
} from '../../../api/services/webhooks/deliver.ts';
import type { Database } from '../../../api/store/database.ts';
import { eventOf } from '../../../api/store/webhook-outbox.ts';
import { must } from '../../support/builders.ts';
import { openTestDatabase } from '../../support/database.ts';
import { openWebhookTest, publicAddress, type WebhookTest } from '../../support/webhooks.ts';

const hour = 3_600_000;
const day = 24 * hour;

let database: Database;
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

// A process for each test, with a clock of its own, on one database.
let api: WebhookTest;
let id: string;
let processes = 0;
beforeEach(async () => {
  await database.orm.execute(sql`delete from webhooks`);
  processes += 1;
  api = await openWebhookTest({ database, process: processes });
  ({ id } = await api.add(['token.*']));
});

const health = async () => (await must(api, 200, 'GET', `/v1/webhooks/${id}`)).health;
const sequences = () => api.received.map(({ event }) => event.sequence);

/** Moves the clock on and ticks, so many times. */
async function pass(times: number, milliseconds: number): Promise<void> {
  for (let k = 0; k < times; k += 1) {
    api.moveClock(milliseconds);
    await api.tick();
  }
}

describe('a delivery that arrives', () => {
  test('says what the audit entry says, is signed, and is sent once', async () => {
    await api.happen();
    await pass(3, 1000);
    const [{ event, headers, url, addresses, body }, ...more] = api.received;
    expect(more).toEqual([]);
    const entry = (await must(api, 200, 'GET', '/v1/audit?limit=500')).items.at(-1);
    const { workspace } = await must(api, 200, 'GET', '/v1/audit/head');
    expect(event).toEqual({
      id: `evt_${workspace}_${entry.sequence}`,
      type: 'token.created',
      createdAt: entry.at,
      workspace,
      sequence: entry.sequence,
      actor: 'admin',
      subject: entry.subject,
      reason: null,
      data: entry.detail,
    });
    expect(headers).toEqual({
      'content-type': 'application/json',
      'user-agent': 'Counterweight/0.0.0-test',
      'webhook-id': event.id,
      'webhook-timestamp': String(Date.parse('2026-03-01T09:00:01Z') / 1000),
      'webhook-signature': expect.stringMatching(/^v1,[A-Za-z0-9+/]{43}=$/),
    });
    expect([url.href, addresses]).toEqual([
      'https://hooks.example.org/in?key=hidden',
      [publicAddress],
    ]);
    expect(body).not.toMatch(/cw_|whsec/);
    expect(await api.deliveries(id)).toEqual([
      {
        id: event.id,
        type: 'token.created',
        sequence: event.sequence,
        state: 'delivered',
        attempts: 1,
        createdAt: '2026-03-01T09:00:00.000Z',
        attemptedAt: '2026-03-01T09:00:01.000Z',
        dueAt: null,
        lastStatus: 200,
        lastFailure: null,
      },
    ]);
  });

  test('comes in the order in which it happened', async () => {
    for (let k = 0; k < 5; k += 1) await api.happen();
    await pass(1, 1000);
    expect(sequences()).toEqual(sequences().toSorted((a, b) => a - b));
    expect(api.received).toHaveLength(5);
  });

  test('leaves out long detail, and says so with null', () => {
    const entry = { workspaceId: 'w', at: new Date(0), action: 'job.ended', sequence: 3 };
    const said = { actor: 'a', subject: 'job/x', reason: 'why' };
    const dataOf = (text: string) =>
      JSON.parse(eventOf({ ...entry, ...said, detail: { text } }).body).data;
    const fits = 'x'.repeat(60_000 - '{"text":""}'.length);
    expect([dataOf(fits), dataOf(`${fits}x`)]).toEqual([{ text: fits }, null]);
  });
});

describe('a delivery that fails', () => {
  test('is tried ten times in about 21 hours under one id, then is dead', async () => {
    api.answerWith(() => ({ status: 500, text: 'out of order' }));
    await api.happen();
    const times: number[] = [];
    for (let k = 0; k < 30 * 12; k += 1) {
      const before = api.received.length;
      await pass(1, 300_000);
      if (api.received.length > before) times.push(k);
    }
    expect(new Set(api.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(new Set(api.received.map(({ body }) => body)).size).toBe(1);
    expect(times).toHaveLength(pausesMs.length + 1);
    expect((times.at(-1) as number) / 12).toBeGreaterThan(20);
    expect((times.at(-1) as number) / 12).toBeLessThan(26);
    const [one] = await api.deliveries(id, 'dead');
    expect(one).toMatchObject({ attempts: 10, lastStatus: 500, dueAt: null });
    expect(await health()).toMatchObject({
      pending: 0,
      dead: 1,
      lastFailure: 'answered 500: out of order',
    });
  }, 60_000);

  test('is tried again after a pause that grows, longer by up to a fifth', async () => {
    api.answerWith(() => ({ status: 404 }));
    await api.happen();
    for (const pause of pausesMs) {
      await api.tick();
      const [{ attemptedAt, dueAt }] = await api.deliveries(id);
      const waits = Date.parse(dueAt) - Date.parse(attemptedAt);
      expect(waits / pause).toBeGreaterThanOrEqual(1);
      expect(waits / pause).toBeLessThanOrEqual(1.2);
      const sent = api.received.length;
      await pass(1, waits - 1);
      expect(api.received).toHaveLength(sent);
      api.moveClock(1);
    }
  });

  test('waits as long as Retry-After asks, and so does everything for that webhook', async () => {
    api.answerWith(() => ({ status: 503, retryAfter: '7200' }));
    await api.happen();
    await api.happen();
    await pass(100, 60_000);
    expect(api.received).toHaveLength(1);
    api.answerWith(() => ({}));
    await pass(25, 60_000);
    expect(await api.deliveries(id, 'delivered')).toHaveLength(2);
    expect(sequences().slice(1)).toEqual(
      sequences()
        .slice(1)
        .toSorted((a, b) => a - b),
    );
  });

  test('that is at fault itself does not hold up the others', async () => {
    await api.happen();
    await api.happen();
    const { sequence } = (await api.deliveries(id)).at(-1);
    api.answerWith(({ body }) => ({ status: JSON.parse(body).sequence === sequence ? 422 : 204 }));
    await api.tick();
    expect((await api.deliveries(id)).map(({ state }) => state)).toEqual(['delivered', 'pending']);
  });

  test('of one webhook does not hold up another, even where it never answers', async () => {
    const { id: other } = await api.add(['token.*'], 'https://other.example.org/');
    api.answerWith(({ url }) => (url.hostname.startsWith('other') ? {} : new Promise(() => {})));
    await api.happen();
    const [first, second] = await startDelivering(api.deps);
    await Promise.race([first, second]);
    expect(await api.deliveries(other, 'delivered')).toHaveLength(1);
    expect(await api.deliveries(id, 'pending')).toHaveLength(1);
  });

  test.each([
    [{ status: 302 }, /^answered 302: redirects are not followed, so make the webhook with/],
    [
      { status: 400, text: 'no\u0000 \u001b[31m\nsuch\tthing ' },
      /^answered 400: no \[31m such thing$/,
    ],
    [{ status: 501, text: 'x'.repeat(5000) }, /^answered 501: x{185}…$/],
    [{ status: 502, text: '👩'.repeat(300) }, /^answered 502: (👩){185}…$/u],
    [{ status: 600 }, /^answered 600$/],
  ])('case %# of an answer is told in words, shortened and on one line', async (answer, words) => {
    api.answerWith(() => answer);
    await api.happen();
    await api.tick();
    const { lastFailure, failingSince } = await health();
    expect(lastFailure).toMatch(words);
    expect(failingSince).toBe('2026-03-01T09:00:00.000Z');
    expect((await api.deliveries(id))[0].lastFailure).toBe(lastFailure);
  });

  test('once it arrives, the webhook is well again', async () => {
    api.answerWith(() => ({ status: 500 }));
    await api.happen();
    await api.tick();
    api.answerWith(() => ({}));
    await pass(1, hour);
    expect(await health()).toMatchObject({
      failingSince: null,
      lastDeliveredAt: '2026-03-01T10:00:00.000Z',
      pending: 0,
      dead: 0,
    });
  });
});

test.each([
  ['120', 120_000],
  ['Sun, 01 Mar 2026 09:01:00 GMT', 60_000],
  ['Sun, 01 Mar 2026 08:00:00 GMT', 0],
  ['99999999', day],
  ['soon', 0],
  ['-5', 0],
  [null, 0],
])('Retry-After %s is %d milliseconds', (text, milliseconds) => {
  expect(retryAfterOf(text, new Date('2026-03-01T09:00:00Z'))).toBe(milliseconds);
});

describe('a dead letter', () => {
  beforeEach(async () => {
    api.answerWith(() => ({ status: 500 }));
    await api.happen();
    await pass(12, 13 * hour);
    api.answerWith(() => ({}));
  });

  test('is sent again under its old id when somebody asks, with an audit entry', async () => {
    const [dead] = await api.deliveries(id, 'dead');
    const sent = api.received.length;
    const path = `/v1/webhooks/${id}/deliveries/${dead.id}/redeliver`;
    const again = await must(api, 200, 'POST', path, {});
    expect(again).toMatchObject({ id: dead.id, state: 'pending', attempts: 0 });
    await pass(1, 1000);
    expect(api.received[sent].headers['webhook-id']).toBe(dead.id);
    expect(await api.deliveries(id)).toMatchObject([{ state: 'delivered', attempts: 1 }]);
    expect(await health()).toMatchObject({ dead: 0 });
    const entry = (await must(api, 200, 'GET', '/v1/audit?action=webhook.redelivered')).items.at(
      -1,
    );
    expect(entry).toMatchObject({
      subject: `webhook/${id}`,
      detail: { delivery: dead.id, type: 'token.created', state: 'dead' },
    });
  });

  test('is not sent again by itself', async () => {
    const sent = api.received.length;
    await pass(5, day);
    expect(api.received).toHaveLength(sent);
  });
});

test('deliveries are kept for 30 days and then forgotten', async () => {
  await api.happen();
  await api.tick();
  await forgetDeliveries(api.deps);
  api.moveClock(keptForMs);
  await api.happen();
  await forgetDeliveries(api.deps);
  expect(await api.deliveries(id)).toHaveLength(2);
  api.moveClock(1);
  await forgetDeliveries(api.deps);
  expect(await api.deliveries(id)).toMatchObject([{ state: 'pending' }]);
});
