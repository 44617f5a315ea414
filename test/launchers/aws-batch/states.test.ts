// What each word of AWS Batch means for an attempt.

import { expect, test } from 'vitest';
import { observationOf } from '../../../api/launchers/aws-batch/states.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const exit = (code: number) => ({ code, signal: null });
const seen = (status: string, more: object = {}) =>
  observationOf({ jobId: '1', jobName: 'cw-1', status, createdAt: now, ...more }, now);
const waits = (minutes: number) => ({ createdAt: now - minutes * 60_000 });

test.each([
  ['SUBMITTED', {}, { state: 'queued' }],
  ['PENDING', {}, { state: 'queued' }],
  ['RUNNABLE', waits(9), { state: 'queued' }],
  ['STARTING', {}, { state: 'starting' }],
  ['RUNNING', {}, { state: 'running' }],
  ['SUCCEEDED', {}, { state: 'exited', exit: exit(0) }],
  ['SUCCEEDED', { container: { exitCode: 0 } }, { state: 'exited', exit: exit(0) }],
  ['HIBERNATING', {}, { state: 'unknown' }],
])('%s %j', (status, more, expected) => {
  expect(seen(status, more)).toMatchObject(expected);
});

test.each([
  [waits(11), /more than ten minutes.*compute environment/],
  [{ statusReason: 'CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY' }, /no free machine.*\(CAPACITY:/],
  [{ statusReason: 'MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE' }, /maxvCpus/],
  [{ statusReason: 'MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT' }, /no machine .* GPUs/],
  [{ statusReason: 'MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS' }, /service role/],
  [{ statusReason: 'something new' }, /^something new$/],
])('a job that waits for a machine says why: %j', (more, sentence) => {
  const { state, detail } = seen('RUNNABLE', more);
  expect(state).toBe('queued');
  expect(detail).toMatch(sentence);
});

test('what is said of a job that waits does not change while it waits', () => {
  expect(seen('RUNNABLE', waits(11))).toEqual(seen('RUNNABLE', waits(600)));
});

const exited = 'Essential container in task exited';
const pull = 'CannotPullContainerError: pull image manifest has been retried';
test.each([
  [
    { statusReason: exited, container: { exitCode: 7 } },
    { state: 'exited', exit: exit(7) },
  ],
  [
    { statusReason: 'Job attempt duration exceeded timeout', isTerminated: true },
    { state: 'timedOut' },
  ],
  [{ statusReason: 'Host EC2 (instance i-0abc) terminated.' }, { reason: 'infrastructure' }],
  [
    {
      statusReason: exited,
      container: {
        exitCode: 137,
        reason: 'OutOfMemoryError: Container killed due to memory usage',
      },
    },
    { state: 'failed', reason: 'outOfMemory', exit: exit(137) },
  ],
  [
    { statusReason: 'Task failed to start', container: { reason: `${pull}: not found` } },
    { state: 'failed', reason: 'config', detail: expect.stringContaining('image of the job def') },
  ],
  [
    { statusReason: 'Task failed to start', container: { reason: `${pull}: i/o timeout` } },
    { state: 'failed', reason: 'infrastructure' },
  ],
  [
    { statusReason: 'Task failed to start', container: { reason: 'DockerTimeoutError: 3m0s' } },
    { state: 'failed', reason: 'infrastructure' },
  ],
  [
    { statusReason: exited, container: { exitCode: 128, reason: 'CannotStartContainerError: no' } },
    { state: 'failed', reason: 'config', detail: expect.stringContaining('command') },
  ],
  [
    { statusReason: 'stopped by hand', isTerminated: true, container: { exitCode: 143 } },
    { state: 'cancelled', detail: expect.stringContaining('stopped by hand') },
  ],
  [{ statusReason: 'stopped by Counterweight' }, { state: 'cancelled' }],
  [{ statusReason: 'no capacity', isCancelled: true }, { state: 'cancelled' }],
  [
    { statusReason: exited, isCancelled: true, container: { exitCode: 1 } },
    { state: 'exited', exit: exit(1) },
  ],
  [{ statusReason: 'something new' }, { state: 'failed', detail: /something new/ }],
  [{}, { state: 'failed', detail: /no more/ }],
])('FAILED %j', (more, { detail, ...expected }: Record<string, unknown>) => {
  const found = seen('FAILED', more);
  expect(found).toMatchObject(expected);
  if (detail instanceof RegExp) expect(found.detail).toMatch(detail);
  else if (detail !== undefined) expect(found.detail).toEqual(detail);
});

test('a failure that nothing explains has no reason of its own', () => {
  expect(seen('FAILED', { statusReason: 'something new' }).reason).toBeUndefined();
});
