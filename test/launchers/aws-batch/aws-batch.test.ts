// The AWS Batch launcher's requests and what it makes of answers, against a stand-in as strict as
// AWS documents itself. With real containers behind a mock of Batch it is run by test/engines.

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createAwsBatchLauncher } from '../../../api/launchers/aws-batch/aws-batch.ts';
import {
  awsTarget,
  type FakeAwsBatch,
  fakeCredential,
  freshState,
  fakeImage as image,
  refused,
  startFakeAwsBatch,
} from '../../support/fake-aws-batch.ts';
import { specOf } from '../../support/launch-specs.ts';

let engine: FakeAwsBatch;
beforeAll(async () => {
  engine = await startFakeAwsBatch();
});
afterAll(() => engine.stop());

beforeEach(() => {
  Object.assign(engine, freshState());
});

function prepared(fields: object = {}, given: object = {}) {
  const target = awsTarget(engine, fields);
  const launcher = createAwsBatchLauncher(target, { credential: async () => fakeCredential });
  return { launcher, request: launcher.prepare(specOf(target, given)) };
}
const gpu = { resources: { gpus: { count: 1, type: 'h200' }, cpus: 8, memoryMiB: 65_536 } };
const operations = () => engine.asked.map(({ operation }) => operation);

test('asks for exactly this job, and adds the token only when it submits', async () => {
  const { launcher, request } = prepared({}, gpu);
  const golden = JSON.parse(readFileSync('test/launchers/golden/aws-batch.json', 'utf8'));
  expect(request).toEqual(golden);
  const handle = await launcher.submit(request, 'cw_secret');
  expect(handle).toEqual({ launchKey: request.launchKey, awsJobId: engine.jobs[0].jobId });
  expect(JSON.stringify([request, handle])).not.toContain('cw_secret');
  expect(engine.jobs[0].body.containerOverrides.environment.at(-1)).toEqual({
    name: 'CW_TOKEN',
    value: 'cw_secret',
  });
  expect(engine.jobs[0].body).toMatchObject({ ...golden.job, containerOverrides: {} });
});

test('a limit shorter than Batch has is left to the service', () => {
  const { request } = prepared({}, { resources: { timeoutSeconds: 20 } });
  expect(request.job).toMatchObject({ timeout: { attemptDurationSeconds: 60 } });
});

describe('submitting', () => {
  test('a key twice is a conflict, though Batch would take it', async () => {
    const { launcher, request } = prepared();
    await launcher.submit(request, 'one');
    await expect(launcher.submit(request, 'two')).rejects.toMatchObject({ kind: 'conflict' });
    expect(engine.jobs).toHaveLength(1);
  });

  test('a job that AWS will never take is refused in its words, without the token', async () => {
    const { launcher, request } = prepared();
    const message = 'JobQueue gpu is disabled; CW_TOKEN cw_secret';
    engine.instead.set('SubmitJob', refused('ClientException', message));
    await expect(launcher.submit(request, 'cw_secret')).rejects.toMatchObject({
      kind: 'unprocessable',
      detail: expect.stringMatching(/ClientException JobQueue gpu is disabled; CW_TOKEN \*\*\*/),
    });
  });

  test.each([
    ['ServerException', 500],
    ['TooManyRequestsException', 429],
  ])('%s is a doubt, and sent once only', async (type, status) => {
    const { launcher, request } = prepared();
    engine.instead.set('SubmitJob', refused(type, 'later', status));
    await expect(launcher.submit(request, 'x')).rejects.toMatchObject({ kind: 'unavailable' });
    expect(operations()).toEqual(['ListJobs', 'SubmitJob']);
  });

  test('an engine that hangs up leaves a doubt, without the token in it', async () => {
    const { launcher, request } = prepared();
    engine.instead.set('SubmitJob', 'hang up');
    const problem = await launcher.submit(request, 'cw_secret').catch((error) => error);
    expect(problem).toMatchObject({ kind: 'unavailable' });
    expect(`${problem.detail} ${problem.stack}`).not.toContain('cw_secret');
    expect(operations()).toEqual(['ListJobs', 'SubmitJob']);
  });
});

describe('finding', () => {
  const twice = async () => {
    const { launcher, request } = prepared();
    const first = await launcher.submit(request, 'one');
    engine.instead.set('ListJobs', { status: 200, body: { jobSummaryList: [] } });
    const second = await launcher.submit(request, 'two');
    engine.instead.clear();
    return { launcher, request, first, second };
  };

  test('a launch gives its handle, over several pages', async () => {
    const { launcher, request } = prepared();
    const handle = await launcher.submit(request, 'x');
    for (let other = 0; other < 3; other++) {
      engine.jobs.push({ ...engine.jobs[0], jobId: `other-${other}`, body: { tags: {} } });
    }
    engine.pageSize = 1;
    expect(await launcher.find(request.launchKey)).toEqual(handle);
    expect(operations().filter((one) => one === 'ListJobs')).toHaveLength(5);
  });

  test('nothing is null, and so is a job of that name that is not ours', async () => {
    const { launcher, request } = prepared();
    expect(await launcher.find(request.launchKey)).toBeNull();
    await launcher.submit(request, 'x');
    engine.jobs[0].body.tags = { team: 'another' };
    expect(await launcher.find(request.launchKey)).toBeNull();
  });

  test('an engine that is away is no null', async () => {
    const { launcher } = prepared();
    engine.instead.set('ListJobs', 'hang up');
    await expect(launcher.find('cw-never-1')).rejects.toMatchObject({ kind: 'unavailable' });
  });

  test('of two jobs of a key the newest, whose token holds, is kept and the other stopped', async () => {
    const { launcher, request, first, second } = await twice();
    const found = await launcher.find(request.launchKey);
    expect(found).toEqual({ ...second, twins: [first.awsJobId] });
    expect(engine.jobs.map(({ more }) => more.isTerminated)).toEqual([true, undefined]);
    const told = await launcher.poll([found ?? second]);
    expect(told.get(request.launchKey)?.detail).toContain(`older job (${first.awsJobId}) is stopp`);
  });

  test('clearing up stops a second job that nobody looked for', async () => {
    const { launcher, second } = await twice();
    engine.jobs[1].status = 'SUCCEEDED';
    await launcher.cleanup(second);
    await launcher.cleanup(second);
    expect(engine.jobs.map(({ more }) => more.isTerminated)).toEqual([true, undefined]);
    expect(operations().filter((one) => one === 'TerminateJob')).toHaveLength(1);
  });
});

describe('polling', () => {
  test('asks once for a hundred jobs, and knows which are gone', async () => {
    const { launcher, request } = prepared();
    const handle = await launcher.submit(request, 'x');
    engine.asked = [];
    const others = Array.from({ length: 150 }, (_, k) => ({
      launchKey: `cw-other-${k}`,
      awsJobId: `other-${k}`,
    }));
    const told = await launcher.poll([handle, ...others, { launchKey: 'cw-never-1' }]);
    expect(engine.asked.map(({ body }) => body.jobs.length)).toEqual([100, 51]);
    expect(told.size).toBe(152);
    expect(told.get(handle.launchKey)).toEqual({ state: 'queued' });
    expect(told.get('cw-other-149')).toMatchObject({ state: 'notFound' });
    expect(told.get('cw-never-1')).toMatchObject({ state: 'notFound' });
  });

  const ended = async () => {
    const { launcher, request } = prepared();
    const handle = await launcher.submit(request, 'x');
    const container = { exitCode: 7, logStreamName: 'trainer/default/1' };
    Object.assign(engine.jobs[0], { status: 'FAILED', more: { container } });
    const told = await launcher.poll([handle]);
    return told.get(handle.launchKey);
  };
  const exit = { state: 'exited', exit: { code: 7, signal: null } };

  test('an ended job brings its last lines', async () => {
    engine.streams.set(
      'trainer/default/1',
      Array.from({ length: 100 }, (_, line) => `line ${line}`),
    );
    const { output, ...seen } = (await ended()) ?? {};
    expect(seen).toEqual(exit);
    expect(output?.split('\n')).toHaveLength(61);
    expect(output?.endsWith('line 98\nline 99\n')).toBe(true);
  });

  test.each([
    ['without a stream', undefined],
    ['without the right', refused('AccessDeniedException', 'no', 400)],
    ['without an answer', 'hang up' as const],
  ])('how it ended is told %s', async (_, instead) => {
    if (instead !== undefined) engine.instead.set('GetLogEvents', instead);
    expect(await ended()).toEqual(exit);
    expect(operations()).toContain('GetLogEvents');
  });

  test('an answer without a list is no list of no jobs', async () => {
    const { launcher, request } = prepared();
    const handle = await launcher.submit(request, 'x');
    engine.instead.set('DescribeJobs', { status: 200, body: {} });
    await expect(launcher.poll([handle])).rejects.toMatchObject({ kind: 'launcher-failed' });
  });
});

test('cancels once in any state, and knows what has ended or is gone', async () => {
  const { launcher, request } = prepared();
  const handle = await launcher.submit(request, 'x');
  engine.jobs[0].status = 'RUNNABLE';
  expect(await launcher.cancel(handle, 30)).toBe('accepted');
  engine.jobs[0].status = 'RUNNING';
  expect(await launcher.cancel(handle, 0)).toBe('accepted');
  const told = engine.asked.filter(({ operation }) => operation === 'TerminateJob');
  expect(told.map(({ body }) => body)).toEqual([
    { jobId: handle.awsJobId, reason: 'stopped by Counterweight' },
  ]);
  engine.jobs[0].status = 'FAILED';
  expect(await launcher.cancel(handle, 0)).toBe('alreadyDone');
  engine.jobs.pop();
  expect(await launcher.cancel(handle, 0)).toBe('gone');
  expect(await launcher.cancel({ launchKey: 'cw-never-1' }, 0)).toBe('gone');
});

describe('what no launch can be made of is refused before it is stored', () => {
  const local = { api: 'http://127.0.0.1:8787' };
  test.each([
    ['a loopback address', { address: undefined, logsAddress: undefined }, local, 'cannot reach'],
    ['a type among several', { gpuTypes: ['h200', 'a100'] }, gpu, 'cannot choose one'],
    ['a GPU where there is none', { gpuTypes: [] }, gpu, 'has no GPU'],
    ['half a vCPU beside a GPU', {}, { resources: { gpus: { count: 1 }, cpus: 0.5 } }, 'whole'],
    ['a part that Fargate has not', {}, { resources: { cpus: 1.5 } }, 'whole vCPUs'],
    ['no image', {}, { image: null }, 'no job definition'],
  ])('%s', (_, fields, given, sentence) => {
    expect(() => prepared(fields, given)).toThrow(sentence);
  });

  test('and a quarter of a vCPU is fine without a GPU', () => {
    const { request } = prepared({}, { resources: { cpus: 0.25 } });
    expect(JSON.stringify(request)).toContain('{"type":"VCPU","value":"0.25"}');
  });

  const other = image.replace('trainer', 'other');
  test.each([
    ['region', { region: 'Frankfurt' }],
    ['queue', { queue: 'a queue' }],
    ['jobDefinitions', { jobDefinitions: {} }],
    ['jobDefinitions', { jobDefinitions: { [image]: 'trainer:3', [other]: 'other:1' } }],
    [`jobDefinitions.${image}`, { jobDefinitions: { [image]: 'trainer' } }],
    ['outputPath', { outputPath: undefined }],
    ['credentials', { credentials: undefined }],
    ['address', { address: 'http://batch.example.org' }],
    ['logsAddress', { logsAddress: 'batch.example.org' }],
    ['environment.AWS_BATCH_X', { environment: { AWS_BATCH_X: '1' } }],
  ])('a target is refused for its %s', (field, fields) => {
    expect(() => prepared(fields)).toThrow(`field ${field}:`);
  });

  test('and the address of the region is used where none is said', () => {
    expect(() => prepared({ address: undefined, logsAddress: undefined })).not.toThrow();
  });
});
