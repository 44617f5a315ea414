// Webhooks on real Postgres, as the role of the service: two processes that deliver at once, events
// that are written meanwhile, and a removal in between.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startDelivering } from '../../api/services/webhooks/deliver.ts';
import { rows } from '../../api/store/database.ts';
import { moveWebhooksToTaken } from '../../api/store/webhook-deliveries.ts';
import { must } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { openWebhookTest, type WebhookTest } from '../support/webhooks.ts';

describe.skipIf(noPostgres())('on real Postgres', () => {
  let postgres: TestPostgres;
  let one: WebhookTest;
  let two: WebhookTest;
  beforeAll(async () => {
    postgres = await startPostgres();
    one = await openWebhookTest({ database: postgres.database, process: 1 });
    two = await openWebhookTest({ database: postgres.database, process: 2 });
  });
  afterAll(() => postgres?.stop());
  beforeEach(async () => {
    await postgres.owner.orm.execute(sql`delete from webhooks`);
    one.received.length = 0;
    two.received.length = 0;
  });

  const all = () => [...one.received, ...two.received];
  const urls = Array.from({ length: 8 }, (_, k) => `https://hooks-${k}.example.org/`);

  test('two processes at once send everything once, each webhook in order', async () => {
    for (const url of urls) await one.add(['token.*'], url);
    await Promise.all(Array.from({ length: 12 }, (_, k) => (k % 2 ? one : two).happen()));
    for (let k = 0; k < 4; k += 1) {
      await Promise.all([one.tick(), two.tick(), one.tick(), two.tick()]);
    }
    expect(all()).toHaveLength(urls.length * 12);
    for (const url of urls) {
      const sent = all().filter((received) => received.url.href === url);
      const sequences = sent.map(({ event }) => event.sequence);
      expect(new Set(sequences).size).toBe(12);
      expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
    }
  });

  test('one statement takes what another transaction is not taking, without waiting for it', async () => {
    await one.add(['token.*'], urls[0]);
    await one.add(['token.*'], urls[1]);
    await one.happen();
    const now = one.deps.now();
    const query = { now, until: new Date(now.getTime() + 60_000), limit: 1 };
    const { orm } = postgres.database;
    await orm.transaction(async (tx) => {
      const [mine] = await moveWebhooksToTaken(tx, query);
      const [theirs] = await moveWebhooksToTaken(orm, query);
      expect([mine.url, theirs.url].toSorted()).toEqual(urls.slice(0, 2));
      expect(await moveWebhooksToTaken(orm, query)).toEqual([]);
    });
    expect(await moveWebhooksToTaken(orm, query)).toEqual([]);
  });

  test('changes that go on while webhooks are removed and disabled are stored all the same', async () => {
    const hooks = await Promise.all(urls.map((url) => one.add(['*'], url)));
    one.answerWith(({ url }) => ({ status: url.href === urls[0] ? 410 : 200 }));
    const changes = Array.from({ length: 20 }, (_, k) => (k % 2 ? one : two).happen());
    const removals = hooks.slice(1).map(({ id }) => must(two, 200, 'DELETE', `/v1/webhooks/${id}`));
    await Promise.all([...changes, ...removals, one.tick(), one.tick()]);
    await one.tick();
    one.answerWith(() => ({}));
    const left = await rows(
      postgres.owner.orm,
      sql`select w.url, w.state, count(*) filter (where d.state = 'pending')::int as pending
        from webhooks w left join webhook_deliveries d on d.webhook_id = w.id group by w.id`,
    );
    expect(left).toEqual([{ url: urls[0], state: 'disabled', pending: 0 }]);
    expect(await must(one, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
  });

  test('a process that hangs keeps its webhook until its time is over, and no other one', async () => {
    await one.add(['token.*'], urls[0]);
    one.answerWith(() => new Promise(() => {}));
    await one.happen();
    await startDelivering(one.deps);
    await expect.poll(() => one.received.length).toBe(1);
    await one.add(['token.*'], urls[1]);
    await two.happen();
    await two.tick();
    expect(two.received.map(({ url }) => url.href)).toEqual([urls[1]]);
    two.moveClock(3_600_000);
    await two.tick();
    expect(two.received.slice(1).map(({ url }) => url.href)).toEqual([urls[0], urls[0]]);
    one.answerWith(() => ({}));
  });
});
