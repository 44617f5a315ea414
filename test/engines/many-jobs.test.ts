// Two hundred jobs at once on the local launcher, with a trainer that is quick: none is lost, none
// is started twice; the same while the service is killed again and again.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Job } from '../../api/contract/jobs.ts';
import { livingProcesses, type ManyJobs, openManyJobs } from '../support/many-jobs.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { randomOf } from '../support/random.ts';
import { until } from './waiting.ts';

let many: ManyJobs | undefined;
let postgres: TestPostgres | undefined;
afterEach(async () => {
  await many?.close();
  await postgres?.stop();
  many = postgres = undefined;
});

const minutes = (count: number) => count * 60_000;
const startsOf = ({ notes }: ManyJobs) => notes().filter(({ started }) => started);
const say = (line: string) => process.stderr.write(`${line}\n`);

/** What everybody must agree on once all is quiet: the service, its audit, the trainers. */
async function expectEachOnce(load: ManyJobs, named: string[], jobs: Job[]): Promise<void> {
  const notes = load.notes();
  expect(notes.filter(({ refused }) => refused !== undefined)).toEqual([]);
  expect(jobs.map(({ id }) => id).sort()).toEqual([...named].sort());
  const told = jobs.map((job) => ({
    state: job.state,
    reason: job.reason,
    attempts: job.attempts.map(({ state, reason }) => [state, reason]),
    starts: notes.filter(({ job: of, started }) => started && of === job.id).length,
  }));
  const once = { state: 'succeeded', reason: null, attempts: [['succeeded', null]], starts: 1 };
  expect(told).toEqual(jobs.map(() => once));
  await expectReportsOnce(load, jobs);
  await expectAuditOnce(load, jobs);
  expect(livingProcesses(load.service.dataDir)).toEqual([]);
}

async function expectReportsOnce({ client, notes }: ManyJobs, jobs: Job[]): Promise<void> {
  const finished = notes().filter((note) => note.finished);
  for (const { id } of jobs) {
    const path = `/v1/jobs/${id}/metrics?limit=10000`;
    const { items } = await client.call<{ items: { step: number }[] }>('GET', path);
    const sent = finished.find(({ job }) => job === id)?.reports ?? 0;
    expect(items.map(({ step }) => step)).toEqual(Array.from({ length: sent }, (_, k) => k));
  }
}

async function expectAuditOnce({ client }: ManyJobs, jobs: Job[]): Promise<void> {
  const entries = await client.askAll('GET /v1/audit');
  const subjects = jobs.map(({ id }) => `job/${id}`).sort();
  for (const action of ['job.launched', 'job.ended']) {
    const told = entries.filter((entry) => entry.action === action);
    expect(told.map(({ subject }) => subject).sort()).toEqual(subjects);
  }
  expect(entries.filter(({ action }) => action === 'job.retried')).toEqual([]);
  expect(await client.call('GET', '/v1/audit/verify')).toMatchObject({ ok: true });
}

test(
  'two hundred jobs at once each start once, report everything once and succeed',
  async () => {
    many = await openManyJobs({ pauseMs: 3_000 });
    const startedAt = Date.now();
    const named = await many.launch(200);
    say(`launched after ${Date.now() - startedAt} ms`);
    const late = () => 'all trainers stand';
    await until(() => startsOf(many as ManyJobs).length >= 200, { seconds: 300, late });
    say(`all stand after ${Date.now() - startedAt} ms`);
    many.openGate();
    const jobs = await many.allEnded(minutes(5));
    say(`all ended after ${Date.now() - startedAt} ms`);
    await expectEachOnce(many, named, jobs);
    expect(many.service.said).toEqual([]);
  },
  minutes(15),
);

/**
 * Kills the service so many times, a random while after each start (some before it listens), and
 * opens the gate after two thirds of them, so that jobs are launched, run and end meanwhile.
 */
async function killAgainAndAgain(
  { service, openGate }: ManyJobs,
  { kills, seed, longestMs }: { kills: number; seed: number; longestMs: number },
): Promise<void> {
  const random = randomOf(seed);
  say(`kills by seed ${seed}; CW_TEST_SEED=N has others`);
  for (let k = 0; k < kills; k++) {
    const ms = Math.round(random() * longestMs);
    await sleep(ms);
    await service.kill();
    service.start();
    say(`killed ${k + 1} of ${kills}, ${ms} ms after its start`);
    if (k + 1 === Math.ceil((kills * 2) / 3)) openGate();
  }
  await service.listening();
}

// These moments once left a launch that never stood.
const seed = Number(process.env.CW_TEST_SEED ?? 51_616);

async function killedManyJobs(jobs: number, kills: number, longestMs: number): Promise<void> {
  many = await openManyJobs({ pauseMs: 3_000, database: postgres?.urls });
  const killing = killAgainAndAgain(many, { kills, seed, longestMs });
  const named = await many.launch(jobs);
  await killing;
  const ended = await many.allEnded(minutes(8));
  await expectEachOnce(many, named, ended);
}

describe('jobs outlive a service that is killed', () => {
  test.skipIf(noPostgres())(
    'twenty times among two hundred jobs, on Postgres: none is lost, none is started twice',
    async () => {
      postgres = await startPostgres();
      await killedManyJobs(200, 20, 8_000);
    },
    minutes(20),
  );

  test(
    'ten times among forty jobs, on embedded PGlite',
    async () => {
      await killedManyJobs(40, 10, 5_000);
    },
    minutes(10),
  );
});
