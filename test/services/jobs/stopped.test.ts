// Trainers that were told to stop, and not by this service: they leave a checkpoint and a last
// report, and what that means is for their engine to say.

import { beforeAll, expect, test } from 'vitest';
import type { Observation } from '../../../api/launchers/launcher.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

const exit = { code: 143, signal: null };

async function stopped(observation: Observation, error = 'stopped by SIGTERM') {
  const { id } = await api.launch();
  const trainer = api.trainer(id);
  await trainer.report({ sequence: 0 });
  await trainer.finish({ outcome: 'failed', error });
  api.launcher.observe(api.keyOf(id), observation);
  await api.tick();
  const { state, reason, attempts } = await api.read(id);
  return { id, state, first: attempts[0].reason, reason, attempts: attempts.length };
}

test('one that was preempted is tried again, whatever it reported last', async () => {
  const detail = 'preempted';
  const job = await stopped({ state: 'failed', exit, reason: 'infrastructure', detail });
  expect(job).toMatchObject({ state: 'created', attempts: 2 });
  expect(job.first).toEqual({
    code: 'infrastructure',
    detail: 'the trainer was told to stop, and not by this service: preempted',
  });
});

test('one that somebody stopped is external, and is not tried again', async () => {
  const job = await stopped({ state: 'exited', exit });
  expect(job).toMatchObject({ state: 'failed', attempts: 1, reason: { code: 'external' } });
});

test('one that met the time limit of its engine has timed out', async () => {
  const job = await stopped({ state: 'timedOut', exit });
  expect(job).toMatchObject({ state: 'timedOut', attempts: 1 });
});

test('one that failed by itself keeps its own words, also on a node that is lost', async () => {
  const gone: Observation = { state: 'failed', reason: 'infrastructure', detail: 'node lost' };
  const job = await stopped(gone, 'no such file: case_7');
  expect(job).toMatchObject({
    state: 'failed',
    attempts: 1,
    reason: { code: 'user', detail: 'no such file: case_7' },
  });
});
