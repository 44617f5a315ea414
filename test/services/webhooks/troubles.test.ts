// Webhooks in trouble: processes that are killed, names that come to mean something else, receivers
// that are gone, keys that do not fit.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { failingForMs } from '../../../api/services/webhooks/attempt.ts';
import { startDelivering, takenForMs } from '../../../api/services/webhooks/deliver.ts';
import { secretBoxOf } from '../../../api/services/webhooks/secrets.ts';
import type { Database } from '../../../api/store/database.ts';
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
const actions = async () =>
  (await must(api, 200, 'GET', '/v1/audit?limit=500')).items.map(({ action }: any) => action);

/** Moves the clock on and ticks, so many times. */
async function pass(times: number, milliseconds: number): Promise<void> {
  for (let k = 0; k < times; k += 1) {
    api.moveClock(milliseconds);
    await api.tick();
  }
}

describe('a process that is killed', () => {
  test('between sending and storing leads to a second delivery under the same id, no more', async () => {
    let finish = () => {};
    api.answerWith(
      () =>
        new Promise((resolve) => {
          finish = () => resolve({ status: 500 });
        }),
    );
    await api.happen();
    const [first] = await startDelivering(api.deps);
    await expect.poll(() => api.received.length).toBe(1);
    expect(await startDelivering(api.deps)).toEqual([]); // taken
    const finishFirst = finish;
    api.answerWith(() => ({}));
    api.moveClock(takenForMs);
    await api.tick();
    expect(api.received.map(({ headers }) => headers['webhook-id'])).toEqual(
      Array(2).fill(api.received[0].event.id),
    );
    finishFirst(); // it was only slow: what it would store comes too late
    await first;
    await pass(3, hour);
    expect(api.received).toHaveLength(2);
    expect(await api.deliveries(id)).toMatchObject([{ state: 'delivered', attempts: 1 }]);
  });

  test('does not give back a webhook that another one has taken since', async () => {
    const finish: (() => void)[] = [];
    api.answerWith(() => new Promise((resolve) => finish.push(() => resolve({ status: 404 }))));
    await api.happen();
    const [first] = await startDelivering(api.deps);
    await expect.poll(() => finish.length).toBe(1);
    api.moveClock(takenForMs);
    const [second] = await startDelivering(api.deps);
    await expect.poll(() => finish.length).toBe(2);
    finish[0]();
    await first;
    api.moveClock(30_000); // the other try is due by now
    expect(await startDelivering(api.deps)).toEqual([]);
    finish[1]();
    await second;
  });
});

describe('a name that comes to mean a private address', () => {
  test('is refused when it is, and nothing is sent', async () => {
    await api.happen();
    api.resolveTo(() => ['10.0.0.1']);
    await api.tick();
    expect(api.received).toEqual([]);
    expect((await health()).lastFailure).toContain('whose address is not public');
    api.resolveTo(() => [publicAddress]);
    await pass(1, hour);
    expect(api.received).toHaveLength(1);
  });

  test('between one look and the next of one try is looked at once', async () => {
    const answers = [[publicAddress], ['127.0.0.1']];
    await api.happen();
    let asked = 0;
    api.resolveTo(() => answers[asked++]);
    await api.tick();
    expect([asked, api.received[0].addresses]).toEqual([1, [publicAddress]]);
  });
});

describe('a webhook', () => {
  test('that answers 410 is disabled at once, and others hear of it', async () => {
    const { id: other } = await api.add(['webhook.disabled'], 'https://other.example.org/');
    await api.happen();
    await api.happen();
    api.answerWith(({ url }) => ({ status: url.hostname.startsWith('other') ? 200 : 410 }));
    await api.tick();
    await api.happen();
    await pass(5, hour);
    expect(await must(api, 200, 'GET', `/v1/webhooks/${id}`)).toMatchObject({
      state: 'disabled',
      disabledBecause: 'it answered 410 Gone: it wants no more',
      disabledAt: '2026-03-01T09:00:00.000Z',
      health: { pending: 0, dead: 2 },
    });
    const heard = api.received.filter(({ url }) => url.hostname.startsWith('other'));
    expect(heard.map(({ event }) => event)).toMatchObject([
      { type: 'webhook.disabled', actor: 'service', subject: `webhook/${id}` },
    ]);
    expect(JSON.stringify(heard)).not.toContain('key=hidden');
    expect(await api.deliveries(other, 'delivered')).toHaveLength(1);
    const [dead] = await api.deliveries(id);
    const path = `/v1/webhooks/${id}/deliveries/${dead.id}/redeliver`;
    expect((await api.call('POST', path, {})).status).toBe(409);

    api.answerWith(() => ({}));
    const enabled = await must(api, 200, 'POST', `/v1/webhooks/${id}/enable`, { reason: 'moved' });
    expect(enabled).toMatchObject({ state: 'active', disabledBecause: null });
    await must(api, 200, 'POST', path, {});
    await pass(1, hour);
    expect(await api.deliveries(id, 'dead')).toHaveLength(1);
    expect((await actions()).slice(-2)).toEqual(['webhook.enabled', 'webhook.redelivered']);
  });

  test('at which nothing arrives for five days is disabled when another delivery is dead', async () => {
    api.answerWith(() => ({ status: 500 }));
    await api.happen();
    await pass(20, 2 * hour);
    expect(await api.deliveries(id, 'dead')).toHaveLength(1);
    await pass(1, failingForMs);
    await api.happen();
    await api.tick();
    expect((await must(api, 200, 'GET', `/v1/webhooks/${id}`)).state).toBe('active');
    await pass(20, 2 * hour);
    expect(await must(api, 200, 'GET', `/v1/webhooks/${id}`)).toMatchObject({
      state: 'disabled',
      disabledBecause: 'nothing has arrived since 2026-03-01T11:00:00.000Z',
    });
    expect(await actions()).toContain('webhook.disabled');
    expect(api.logged.map(({ fields }) => fields?.host)).toContain('hooks.example.org');
  });

  test('whose secret does not open says which variable to mend, and sends nothing', async () => {
    await api.happen();
    const box = await secretBoxOf(Buffer.alloc(32, 9).toString('base64'));
    api.deps.webhooks = { ...api.webhooks, box: box as NonNullable<typeof box> };
    await api.tick();
    expect([api.received, (await health()).lastFailure]).toEqual([
      [],
      expect.stringContaining('CW_WEBHOOK_KEY'),
    ]);
    api.deps.webhooks = api.webhooks;
    await pass(1, hour);
    expect(api.received).toHaveLength(1);
  });

  test('of a deployment that has no key any more is left alone', async () => {
    await api.happen();
    api.deps.webhooks = undefined;
    await pass(3, day);
    expect(await health()).toMatchObject({ pending: 1, lastFailure: null });
    await must(api, 200, 'DELETE', `/v1/webhooks/${id}`);
  });

  test('that is removed while a delivery is on its way takes it along', async () => {
    api.answerWith(async () => {
      await must(api, 200, 'DELETE', `/v1/webhooks/${id}`);
      return {};
    });
    await api.happen();
    await api.tick();
    expect((await api.call('GET', `/v1/webhooks/${id}`)).status).toBe(404);
    const { rows } = (await api.database.orm.execute(
      sql`select count(*)::int as count from webhook_deliveries`,
    )) as unknown as { rows: { count: number }[] };
    expect(rows).toEqual([{ count: 0 }]);
  });
});
