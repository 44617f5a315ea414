// The service and its Postgres, killed at random moments while everything is written at once. What
// was acknowledged stands afterwards, once, and the audit chain vouches for it. Minutes long, so it
// has a command of its own: npm run test:kills.

import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ManyJobs, openManyJobs } from '../support/many-jobs.ts';
import { datasetName, mixedWrites } from '../support/mixed-writes.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { randomOf } from '../support/random.ts';

const kills = Number(process.env.CW_TEST_KILLS ?? 50);
const seed = Number(process.env.CW_TEST_SEED ?? 2_718);
const longestMs = 3_000;
const clients = 3;
const minutes = (count: number) => count * 60_000;
/** Of all datasets that the clients may come to write. */
const names = Array.from({ length: clients }, (_, client) =>
  Array.from({ length: 1_000 }, (_, round) => datasetName(client, round)),
).flat();
const say = (line: string) => process.stderr.write(`${line}\n`);

describe.skipIf(noPostgres())('a service that is killed, and a Postgres that is', () => {
  let postgres: TestPostgres;
  let many: ManyJobs;
  beforeEach(async () => {
    postgres = await startPostgres();
    const dataPaths = Object.fromEntries(names.map((name) => [name, tmpdir()]));
    many = await openManyJobs({ database: postgres.urls, pauseMs: 500, target: { dataPaths } });
  });
  afterEach(async () => {
    await many?.close();
    await postgres?.stop();
  });

  // Some moments lie before the service listens again, or while Postgres still recovers.
  async function killAgainAndAgain(): Promise<void> {
    const random = randomOf(seed);
    say(`${kills} kills by seed ${seed}; CW_TEST_SEED=N has others`);
    for (let k = 1; k <= kills; k++) {
      const ms = Math.round(random() * longestMs);
      await sleep(ms);
      const which = random() < 0.5 ? 'service' : 'postgres';
      if (which === 'postgres') await postgres.crash();
      else {
        await many.service.kill();
        many.service.start();
      }
      say(`killed the ${which}, ${k} of ${kills}, after ${ms} ms`);
      if (random() < 0.75) await many.service.standing();
    }
    await many.service.standing();
  }

  test(
    'keeps every acknowledged write, once, and an audit chain that verifies',
    async () => {
      many.openGate();
      const writes = mixedWrites(many.service);
      let killing = true;
      const killed = killAgainAndAgain().finally(() => {
        killing = false;
      });
      await Promise.all([killed, writes.run(clients, () => killing)]);
      say(`${writes.acknowledged.length} writes acknowledged, ${writes.jobs.size} jobs`);
      expect(writes.faults).toEqual([]);
      expect(writes.jobs.size).toBeGreaterThan(0);
      const { client } = many;
      for (const { path, holds } of writes.acknowledged) {
        expect([path, await client.call('GET', path)]).toMatchObject([path, holds]);
      }
      await expectJobsOnce(writes.jobs);
      expect(await client.call('GET', '/v1/audit/verify')).toMatchObject({ ok: true });
    },
    minutes(20),
  );

  async function expectJobsOnce(named: Map<string, string>): Promise<void> {
    const jobs = await many.allEnded(minutes(5));
    for (const [reason, id] of named) {
      const launched = jobs.filter(({ launchReason }) => launchReason === reason);
      expect([reason, launched.map((job) => job.id)]).toEqual([reason, [id]]);
    }
    expect(jobs.length).toBe(named.size);
    expect(jobs.filter(({ state }) => state !== 'succeeded')).toEqual([]);
    const starts = many.notes().filter(({ started }) => started);
    const attempts = jobs.reduce((sum, job) => sum + job.attempts.length, 0);
    expect(starts.length).toBeLessThanOrEqual(attempts);
  }
});
