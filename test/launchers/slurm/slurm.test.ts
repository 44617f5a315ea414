// The Slurm launcher's requests, and what it makes of answers, in both dialects. The real Slurm
// that speaks the legacy one is in test/engines/.

import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createSlurmLauncher } from '../../../api/launchers/slurm/slurm.ts';
import { type FakeSlurm, fault, startFakeSlurm } from '../../support/fake-slurm.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';

let engine: FakeSlurm;
beforeAll(async () => {
  engine = await startFakeSlurm();
});
afterAll(() => engine.stop());
beforeEach(() => {
  const partitions = [{ name: 'gpu', state: 'UP', max_time_limit: -1 }];
  Object.assign(engine, { jobs: [], asked: [], warned: [], nodes: [], partitions });
  engine.instead.clear();
});
afterEach(() => expect(engine.warned).toEqual([]));

const now = new Date('2027-01-15T12:00:00Z');
const image = `registry.example.org/lab/trainer:7@sha256:${'a'.repeat(64)}`;

/** A token as Slurm makes them, unsigned: the launcher cannot check a signature. */
function tokenFor(seconds: number, user = 'lab'): string {
  const claims = { exp: now.getTime() / 1000 + seconds, sun: user };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
}

const withFields = (fields: object = {}) =>
  targetOf({
    name: 'cluster',
    engine: 'slurm',
    address: engine.address,
    credentials: { env: 'SLURM_TOKEN' },
    images: [image],
    dataPaths: { liver: '/shared/images/Dataset004_Liver' },
    outputPath: '/shared/out',
    gpuTypes: ['h200', 'absent'],
    environment: { nnUNet_preprocessed: '/preprocessed' },
    user: 'lab',
    partition: 'gpu',
    apiVersion: 'v0.0.38',
    container: 'apptainer',
    ...fields,
  });

function prepared(fields: object = {}, given: object = {}, token = tokenFor(86_400)) {
  const target = withFields(fields);
  const launcher = createSlurmLauncher(target, { credential: async () => token }, () => now);
  const request = launcher.prepare(specOf(target, given));
  const { launchKey } = request;
  const path = String(request.path);
  return { launcher, request, path, launchKey, handle: { launchKey, job: 1 } };
}
const modern = { apiVersion: 'v0.0.42' };
const dialects = [{}, modern];
const gpu = { resources: { gpus: { count: 1, type: 'h200' }, cpus: 7.5, timeoutSeconds: 3601 } };
const refusedBy = (attempt: Promise<unknown>) => attempt.then(() => null).catch((error) => error);

describe.each([
  ['slurm-legacy', {}],
  ['slurm-modern', modern],
])('%s', (golden, dialect) => {
  const site = { account: 'lab', qos: 'long', reservation: 'week3', constraint: 'a|b' };
  const said = { gpuNames: { h200: 'nvidia_h200' }, ...site, ...dialect };

  test('asks for exactly this job, and adds the token only when it submits', async () => {
    const { launcher, request, handle } = prepared(said, gpu);
    expect(request).toEqual(
      JSON.parse(readFileSync(`test/launchers/golden/${golden}.json`, 'utf8')),
    );
    expect(await launcher.submit(request, 'cw_secret')).toEqual(handle);
    expect(JSON.stringify(request)).not.toContain('cw_secret');
    const { job, script = job.script } = engine.jobs[0].body;
    expect(script).not.toContain('cw_secret');
    expect(JSON.stringify(job.environment)).toMatch(/"CW_TOKEN(":"|=)cw_secret"/);
    expect(JSON.stringify({ ...job, environment: [] })).not.toContain('cw_secret');
    expect(engine.headers).toMatchObject({ 'x-slurm-user-name': 'lab' });
  });

  test('a key twice is a conflict, and nothing is submitted', async () => {
    const { launcher, request } = prepared(dialect);
    await launcher.submit(request, 'one');
    await expect(launcher.submit(request, 'two')).rejects.toMatchObject({ kind: 'conflict' });
    expect(engine.jobs).toHaveLength(1);
  });

  test('finds a job by name and comment, keeps the newest, whose token holds, and ends its doubles', async () => {
    const { launcher, request, launchKey } = prepared(dialect);
    expect(await launcher.find(launchKey)).toBeNull();
    await launcher.submit(request, 'one');
    const [first] = engine.jobs;
    const double = (id: number, change: object) => ({ ...structuredClone(first), id, ...change });
    const body = { job: { ...first.body.job, comment: 'of somebody else' } };
    engine.jobs.push(double(2, { body }), double(3, {}), double(4, {}), double(5, {}));
    first.states = ['FAILED'];
    expect(await launcher.find(launchKey)).toEqual({ launchKey, job: 5 });
    const states = engine.jobs.map((job) => job.states.join());
    expect(states).toEqual(['FAILED', 'PENDING', 'CANCELLED', 'CANCELLED', 'PENDING']);
  });

  test('a job that has ended is found too, with its end', async () => {
    const { launcher, request, launchKey } = prepared(dialect);
    await launcher.submit(request, 'one');
    Object.assign(engine.jobs[0], { states: ['FAILED'], reason: 'NonZeroExitCode', exit: 7 << 8 });
    const handle = await launcher.find(launchKey);
    const told = await launcher.poll(handle === null ? [] : [handle]);
    const exit = { code: 7, signal: null };
    expect(told.get(launchKey)).toEqual({ state: 'exited', exit });
  });

  test('asks for all jobs in one request', async () => {
    const { launcher, request, handle } = prepared(dialect);
    await launcher.submit(request, 'x');
    const more = Array.from({ length: 50 }, (_, k) => ({
      ...structuredClone(engine.jobs[0]),
      id: k + 2,
    }));
    engine.jobs.push(...more);
    engine.asked = [];
    const handles = more.map(({ id }) => ({ launchKey: handle.launchKey, job: id }));
    expect((await launcher.poll([handle, ...handles])).size).toBe(1);
    expect(engine.asked).toHaveLength(1);
  });

  test('a job that a good list does not have is gone only if the controller answers', async () => {
    const { launcher, request, path } = prepared(dialect);
    await launcher.submit(request, 'x');
    const other = { launchKey: 'cw-other-1', job: 1 };
    const purged = { launchKey: 'cw-purged-1', job: 77 };
    const told = await launcher.poll([other, purged]);
    expect([...told.values()].map(({ state }) => state)).toEqual(['notFound', 'notFound']);
    engine.instead.set(`GET /slurm/${path.split('/')[2]}/ping`, fault(-1, 'Unspecified error'));
    await expect(launcher.poll([purged])).rejects.toMatchObject({ kind: 'launcher-failed' });
  });

  test('cancels by the plain request, once while it takes effect', async () => {
    const { launcher, request, handle, path } = prepared(dialect);
    await launcher.submit(request, 'x');
    const [job] = engine.jobs;
    job.states = ['RUNNING'];
    expect(await launcher.cancel(handle, 30)).toBe('accepted');
    expect(await launcher.cancel(handle, 29)).toBe('accepted');
    const deletes = engine.asked.filter((one) => one.startsWith('DELETE'));
    expect(deletes).toEqual([`DELETE ${path.replace('submit', '1')}`]);
    job.states = ['CANCELLED'];
    expect(await launcher.cancel(handle, 0)).toBe('alreadyDone');
    expect(await launcher.cancel({ ...handle, job: 9 }, 0)).toBe('gone');
    expect(await launcher.cancel({ launchKey: 'cw-other-1', job: 1 }, 0)).toBe('gone');
  });
});

test('cleaning up ends what Slurm would start again, and nothing else', async () => {
  const { launcher, request, handle } = prepared();
  await launcher.submit(request, 'x');
  const [job] = engine.jobs;
  Object.assign(job, { states: ['COMPLETED'], restarts: 0 });
  await launcher.cleanup(handle);
  expect(engine.asked.filter((one) => one.startsWith('DELETE'))).toEqual([]);
  Object.assign(job, { states: ['PENDING'], restarts: 1 });
  expect((await launcher.poll([handle])).get(handle.launchKey)).toMatchObject({
    state: 'failed',
    reason: 'infrastructure',
  });
  await launcher.cleanup(handle);
  expect(job.states).toEqual(['CANCELLED']);
  Object.assign(job, { states: ['RUNNING', 'COMPLETING'], restarts: 1 });
  await launcher.cleanup(handle);
  expect(engine.asked.filter((one) => one.startsWith('DELETE'))).toHaveLength(2);
});

describe('what Slurm refuses', () => {
  test('is the last word where it will never be, with the numbers in words', async () => {
    const asked = { resources: { gpus: { count: 2, type: 'absent' }, cpus: 1, memoryMiB: 64 } };
    const { launcher, request } = prepared({}, asked);
    expect(await refusedBy(launcher.submit(request, 'x'))).toMatchObject({
      kind: 'unprocessable',
      detail:
        'Target "cluster": Slurm refuses 2 GPUs of type absent, 1 CPU, 64 MiB for 1440 minutes in partition gpu: no node could ever give that; ask for less, or for another gpus.type (2014: Requested node configuration is not available).',
      errors: [{ pointer: '/resources' }],
    });
    const posts = engine.asked.filter((one) => one.startsWith('POST'));
    expect(posts).toHaveLength(1);
  });

  test('a partition that is not there is named', async () => {
    const { launcher, request } = prepared({ partition: 'nope' });
    const refused = await refusedBy(launcher.submit(request, 'x'));
    expect(refused).toMatchObject({ kind: 'unprocessable', errors: [{ pointer: '/target' }] });
    expect(refused.detail).toContain('in partition nope: there is no such partition');
  });

  test.each([
    [2050, 'Job violates accounting/QOS policy', 'a limit of the account'],
    [2101, 'Partition in DOWN state', 'its partition is down'],
    [5005, 'Zero Bytes were transmitted or received', 'it refuses the token'],
    [1800, 'Unable to contact slurm controller', 'does not answer slurmrestd'],
    [-1, 'Unspecified error', 'does not answer slurmrestd'],
  ])('%s is a doubt, asked again later', async (code, text, sentence) => {
    const { launcher, request } = prepared();
    engine.instead.set('POST /', fault(code, text));
    const refused = await refusedBy(launcher.submit(request, 'cw_secret'));
    expect(refused.kind).toBe('launcher-failed');
    expect(refused.detail).toContain(sentence);
  });

  test('a job that was taken with an error, such as one for a drained node, is taken', async () => {
    const { launcher, request, handle } = prepared();
    const errors = [{ error_code: 2068, error: 'Required node not available' }];
    engine.instead.set('POST /', { status: 200, body: { errors, job_id: 1 } });
    expect(await launcher.submit(request, 'x')).toEqual(handle);
  });

  test('a field that the modern dialect only warns of ends the job before it trains', async () => {
    const { launcher, request } = prepared(modern, gpu);
    const { body } = request as unknown as { body: { job: Record<string, unknown> } };
    body.job.gres = 'gpu:1';
    const refused = await refusedBy(launcher.submit(request, 'x'));
    expect(refused).toMatchObject({ kind: 'unprocessable' });
    expect(engine.jobs.map(({ states }) => states)).toEqual([['CANCELLED']]);
    expect(engine.warned.splice(0)).toEqual([expect.stringContaining('gres')]);
  });

  test('a connection that breaks is a doubt, without a secret in it', async () => {
    const { launcher, request } = prepared();
    engine.instead.set('POST /', 'hang up');
    const refused = await refusedBy(launcher.submit(request, 'cw_secret'));
    expect(refused.kind).toBe('unavailable');
    expect(`${refused.detail} ${refused.stack}`).not.toMatch(/cw_secret|e30\./);
  });
});

describe('an engine that cannot be asked', () => {
  const down = { errors: [{ description: 'Unable to find JobId=1', error_number: -1 }], jobs: [] };
  test.each(dialects)('is no lost job, whoever asks', async (dialect) => {
    const { launcher, request, handle } = prepared(dialect);
    await launcher.submit(request, 'x');
    engine.instead.set('GET /slurm', { status: 500, body: down });
    const asking = [
      () => launcher.poll([handle]),
      () => launcher.find(handle.launchKey),
      () => launcher.cancel(handle, 0),
      () => launcher.cleanup(handle),
      () => launcher.submit(request, 'x'),
    ];
    for (const ask of asking) {
      await expect(ask()).rejects.toMatchObject({ kind: 'launcher-failed' });
    }
    expect(engine.jobs).toHaveLength(1);
  });

  test.each([
    [{ status: 200, body: '<html>login</html>' }, 'answered 200 and no JSON'],
    [{ status: 404, body: 'Unable find requested URL' }, 'does it serve v0.0.38'],
    [{ status: 401, body: 'Authentication failure' }, 'does not take the token for user lab'],
    [{ status: 200, body: { errors: [] } }, 'no list of jobs'],
  ])('%o', async (answer, sentence) => {
    const { launcher } = prepared();
    engine.instead.set('GET /', answer);
    const refused = await refusedBy(launcher.find('cw-never-1'));
    expect(refused.kind).toBe('launcher-failed');
    expect(refused.detail).toContain(sentence);
    expect(refused.detail).not.toContain('e30.');
  });

  test('an expired token is named before anything is asked', async () => {
    const { launcher } = prepared({}, {}, tokenFor(-60));
    expect(await refusedBy(launcher.find('cw-never-1'))).toMatchObject({
      kind: 'launcher-failed',
      detail: expect.stringMatching(
        /^The token of target "cluster" expired at 2027-01-15T11:59:00.000Z; renew it \(scontrol token/,
      ),
    });
    expect(engine.asked).toEqual([]);
  });
});
