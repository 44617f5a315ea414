// What a tick costs and whom it waits for: an engine that hangs holds up no other target, and what
// is quiet or waits asks nothing of the database.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type LaunchTarget, launchTargetsSchema } from '../../../api/contract/targets.ts';
import { ProblemError } from '../../../api/errors.ts';
import { startReconciling } from '../../../api/services/jobs/reconcile.ts';
import { openTestDatabase } from '../../support/database.ts';
import { createFakeLauncher, type FakeLauncher } from '../../support/fake-launcher.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
let slow: FakeLauncher;
let statements = 0;

// The ways of PGlite to run something, each counted.
async function countedDatabase() {
  const database = await openTestDatabase();
  const { client } = database as typeof database & { client: Record<string, any> };
  for (const name of ['query', 'exec', 'transaction']) {
    const run = client[name].bind(client);
    client[name] = (...given: unknown[]) => {
      statements += 1;
      return run(...given);
    };
  }
  return database;
}

beforeAll(async () => {
  api = await openJobTest({}, await countedDatabase());
  const dataPaths = { phantom: '/images' };
  const more = [
    { name: 'slow', engine: 'local', dataPaths },
    { name: 'small', engine: 'local', dataPaths, limits: { jobsAtOnce: 1 } },
  ];
  api.deps.targets.push(...launchTargetsSchema.parse(more));
  slow = createFakeLauncher();
  api.deps.launcherOf = async ({ name }) => (name === 'slow' ? slow : api.launcher);
});
beforeEach(() => {
  for (const launcher of [api.launcher, slow]) Object.assign(launcher, { trouble: {}, during: {} });
});

const exited = { state: 'exited' as const, exit: { code: 7, signal: null } };
const round = async () => {
  statements = 0;
  await api.tick();
  return statements;
};

async function endAll() {
  for (const launcher of [api.launcher, slow]) {
    for (const key of launcher.launches.keys()) launcher.observe(key, exited);
  }
  for (let k = 0; k < 3; k++) await api.tick();
}

test('a target whose engine hangs is left alone, and the others move on', async () => {
  const stuck = await api.launch({ target: 'slow' });
  const fine = await api.launch();
  let answer = () => {};
  slow.during.poll = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  const first = await startReconciling(api.deps);
  expect(first).toHaveLength(2);
  api.launcher.observe(api.keyOf(fine.id), exited);
  const second = await startReconciling(api.deps);
  expect(second).toHaveLength(1);
  await Promise.all(second);
  await Promise.all(await startReconciling(api.deps));
  expect((await api.read(fine.id)).state).toBe('failed');
  expect(slow.calls.poll).toBe(1);
  slow.during = {};
  slow.observe(api.keyOf(stuck.id), exited);
  answer();
  await Promise.all(first);
  expect((await api.read(stuck.id)).state).toBe('failed');
  await api.tick();
  expect(slow.calls.poll).toBe(2);
});

describe('a tick asks the database', () => {
  test('twice, however many jobs are quiet and however many have ended', async () => {
    await endAll();
    const counts: number[] = [];
    for (const more of [0, 1, 20]) {
      for (let k = 0; k < more; k++) await api.launch();
      await round();
      counts.push(await round());
    }
    await endAll();
    counts.push(await round());
    expect(counts).toEqual([2, 2, 2, 2]);
  });

  test('once more where jobs wait for room, however many', async () => {
    await endAll();
    const counts: number[] = [];
    for (const more of [2, 10]) {
      for (let k = 0; k < more; k++) await api.launch({ target: 'small' });
      await round();
      counts.push(await round());
    }
    expect(counts).toEqual([3, 3]);
    (api.deps.targets.find(({ name }) => name === 'small') as LaunchTarget).limits = {};
    await api.tick();
  });

  test('no more where an automatic attempt waits, or another process is submitting', async () => {
    await endAll();
    const pausing = await api.launch();
    const lost = { state: 'failed' as const, reason: 'infrastructure' as const };
    api.launcher.observe(api.keyOf(pausing.id), lost);
    await round();
    await round();
    api.launcher.trouble.submit = new Error('connection lost');
    const leased = await api.launch();
    api.launcher.trouble = {};
    expect(await round()).toBe(2);
    const states = async () =>
      await Promise.all([pausing, leased].map(async ({ id }) => (await api.read(id)).state));
    expect(await states()).toEqual(['created', 'submitting']);
    api.moveClock(61_000);
    await round();
    expect(await states()).toEqual(['queued', 'queued']);
  });
});

test('an engine that gives no answer keeps a round and a request waiting once', async () => {
  const { calls } = slow;
  slow.trouble.find = new ProblemError('unavailable', 'its engine gave no answer');
  const ids: string[] = [];
  for (let k = 0; k < 3; k++) ids.push((await api.launch({ target: 'slow' })).id);
  api.moveClock(31_000);
  const before = calls.find;
  await api.tick();
  expect(calls.find - before).toBe(1);
  await api.tick();
  expect(calls.find - before).toBe(2);
  slow.trouble = {};
  api.moveClock(31_000);
  await api.tick();
  const states = await Promise.all(ids.map(async (id) => (await api.read(id)).state));
  expect(states).toEqual(['queued', 'queued', 'queued']);
});
