// What a Slurm target's check says, and which targets and jobs are refused without asking.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { unknownFields } from '../../../api/launchers/slurm/schema.ts';
import { createSlurmLauncher } from '../../../api/launchers/slurm/slurm.ts';
import { type FakeSlurm, openApiDocument, startFakeSlurm } from '../../support/fake-slurm.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';

let engine: FakeSlurm;
beforeAll(async () => {
  engine = await startFakeSlurm();
});
afterAll(() => engine.stop());

const legacyNode = (change: object = {}) => ({
  name: 'n1',
  state: 'idle',
  state_flags: [],
  reason: '',
  gres: 'gpu:h200:2(S:0)',
  gres_used: 'gpu:h200:1(IDX:0)',
  partitions: ['gpu'],
  ...change,
});
beforeEach(() => {
  engine.instead.clear();
  engine.asked = [];
  engine.partitions = [{ name: 'gpu', state: 'UP', max_time_limit: -1 }];
  engine.nodes = [legacyNode(), legacyNode({ name: 'n2', partitions: ['cpu'], state: 'down' })];
});

const now = new Date('2027-01-15T12:00:00Z');
const image = `trainer@sha256:${'a'.repeat(64)}`;

function tokenOf(claims: object): string {
  return `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
}
const expiringIn = (seconds: number, sun = 'lab') =>
  tokenOf({ exp: now.getTime() / 1000 + seconds, sun });

const targetWith = (fields: object = {}) =>
  targetOf({
    name: 'cluster',
    engine: 'slurm',
    address: engine.address,
    credentials: { file: '/run/token' },
    images: [image],
    outputPath: '/shared/out',
    gpuTypes: ['h200'],
    user: 'lab',
    partition: 'gpu',
    apiVersion: 'v0.0.38',
    container: 'apptainer',
    ...fields,
  });
const launcherOf = (fields: object = {}, token = expiringIn(86_400 * 30)) =>
  createSlurmLauncher(targetWith(fields), { credential: async () => token }, () => now);

const ok = (detail: unknown) => ({ severity: 'ok', detail });
const warning = (detail: unknown) => ({ severity: 'warning', detail });
const error = (detail: unknown) => ({ severity: 'error', detail });

const good = [
  ok('the token is good until 2027-02-14T12:00:00.000Z'),
  ok('slurmctld on head answers: Slurm 22.05.8, API v0.0.38'),
  ok('partition gpu is up, without a limit of time'),
  ok('partition gpu has 2 GPUs h200, 1 free'),
];

test('a target on which all is well', async () => {
  expect(await launcherOf().check()).toEqual(good);
  expect(engine.asked.every((one) => one.startsWith('GET'))).toBe(true);
});

describe('the token', () => {
  test.each([
    [
      expiringIn(3600 * 5 + 60),
      warning(expect.stringMatching(/^the token expires in 5 hours, at/)),
    ],
    [expiringIn(60 * 20), warning(expect.stringMatching(/^the token expires in 20 minutes, at/))],
    [expiringIn(86_400 * 3, 'root'), error('the token is of user root, the target says lab')],
    [tokenOf({ sun: 'lab' }), warning('the token never expires; one that does is safer')],
    ['opaque', warning(expect.stringContaining('is no JWT'))],
    ['e30.!!!.c2ln', warning(expect.stringContaining('is no JWT'))],
  ])('%s', async (token, finding) => {
    const [first, ...rest] = await launcherOf({}, token).check();
    expect(first).toEqual(finding);
    expect(rest).toEqual(good.slice(1));
  });

  test('an expired one is all that is said, and Slurm is not asked', async () => {
    const found = await launcherOf({}, expiringIn(-1)).check();
    expect(found).toEqual([error(expect.stringContaining('expired at 2027-01-15T11:59:59.000Z'))]);
    expect(engine.asked).toEqual([]);
  });
});

describe('the cluster', () => {
  const last = async (fields: object = {}) => (await launcherOf(fields).check()).slice(2);

  test('a partition that is not there, with those that are', async () => {
    expect(await last({ partition: 'gpus' })).toEqual([
      error('there is no partition gpus; there are: gpu'),
    ]);
  });

  test('a partition that is down, and one that does not allow the usual time', async () => {
    engine.partitions = [{ name: 'gpu', state: 'DOWN', max_time_limit: -1 }];
    expect((await last())[0]).toEqual(error('partition gpu is DOWN: it starts no jobs'));
    engine.partitions = [{ name: 'gpu', state: 'UP', max_time_limit: 240 }];
    expect((await last())[0]).toEqual(
      warning(
        'partition gpu takes jobs of at most 240 minutes, and without timeoutSeconds a job asks for 1440: set defaults.timeoutSeconds of the target to 14400 or less',
      ),
    );
    expect((await last({ defaults: { timeoutSeconds: 14_400 } }))[0]).toEqual(
      ok('partition gpu is up, for at most 240 minutes'),
    );
  });

  test('nodes that take no jobs, with the reason, and GPUs that are all taken', async () => {
    const drained = { state: 'idle', state_flags: ['DRAIN'], reason: 'disk broken' };
    engine.nodes = [legacyNode(drained)];
    expect((await last()).slice(1)).toEqual([
      warning('node n1 takes no jobs (IDLE DRAIN: disk broken)'),
      error('no node of the partition takes jobs now'),
      warning('partition gpu has 2 GPUs h200, 0 free: jobs will wait'),
    ]);
  });

  test('a GPU that Slurm calls otherwise, or by no type', async () => {
    engine.nodes = [legacyNode({ gres: 'gpu:nvidia_h200:8', gres_used: 'gpu:nvidia_h200:8' })];
    const hint = 'Or name it as Slurm does in "gpuNames" of the target';
    expect((await last()).at(-1)).toEqual(
      error(`partition gpu has no GPU h200; it has: nvidia_h200. ${hint}`),
    );
    expect((await last({ gpuNames: { h200: 'nvidia_h200' } })).at(-1)).toEqual(
      warning('partition gpu has 8 GPUs nvidia_h200, 0 free: jobs will wait'),
    );
    engine.nodes = [legacyNode({ gres: 'gpu:4', gres_used: 'gpu:1' })];
    expect((await last({ gpuNames: { h200: '' } })).at(-1)).toEqual(
      ok('partition gpu has 4 GPUs of any type, 3 free'),
    );
  });

  test('a controller that is away ends the check, and does not throw', async () => {
    engine.instead.set('GET /slurm/v0.0.38/ping', {
      status: 200,
      body: { errors: [], pings: [{ hostname: 'head', ping: 'DOWN' }] },
    });
    expect((await launcherOf().check()).slice(1)).toEqual([
      error('Target "cluster": no slurmctld answers slurmrestd.'),
    ]);
  });
});

describe('the modern dialect', () => {
  const modern = { apiVersion: 'v0.0.42' };
  const noValue = (number: number) => ({ set: true, infinite: false, number });
  beforeEach(() => {
    const partition = { state: ['UP'] };
    engine.partitions = [{ name: 'gpu', partition, maximums: { time: noValue(1440) } }];
    engine.nodes = [{ ...legacyNode(), state: ['IDLE'], state_flags: undefined }];
  });

  test('is read in its own form, and its own document knows every field', async () => {
    expect(await launcherOf(modern).check()).toEqual([
      good[0],
      ok('slurmctld on head answers: Slurm 22.05.8, API v0.0.42'),
      ok('slurmrestd knows every field of a job'),
      ok('partition gpu is up, for at most 1440 minutes'),
      good[3],
    ]);
  });

  test('a field that the site does not know is named before any job loses its GPU', async () => {
    const document = openApiDocument();
    delete document.components.schemas['v0.0.42_job_desc_msg'].properties.tres_per_node;
    engine.instead.set('GET /openapi/v3', { status: 200, body: document });
    expect((await launcherOf(modern).check())[2]).toEqual(
      error('slurmrestd would leave out of a job what it does not know: job.tres_per_node'),
    );
    engine.instead.set('GET /openapi/v3', { status: 200, body: { paths: {} } });
    expect((await launcherOf(modern).check())[2]).toEqual(
      error('slurmrestd does not serve v0.0.42'),
    );
  });

  test('a field of another type is named as well', () => {
    const job = { time_limit: 5, environment: { A: '1' }, name: 7, tasks: 1 };
    const found = unknownFields(openApiDocument(), '/slurm/v0.0.42/job/submit', { job });
    expect(found).toEqual([
      'job.time_limit (is object there)',
      'job.environment (is array there)',
      'job.name (is string there)',
    ]);
  });
});

describe('what no launch can be made of is refused before it is stored', () => {
  const prepare = (fields: object, given: object = {}) => {
    const target = targetWith(fields);
    return launcherOf(fields).prepare(specOf(target, given));
  };
  const far = { address: 'https://slurm.example.org' };
  test.each([
    ['a loopback address', far, { api: 'http://127.0.0.1:8787' }, 'cannot reach the service'],
    [
      'a loopback address, and an engine whose name only begins like one',
      { address: 'https://127.example.org' },
      { api: 'http://127.0.0.1:8787' },
      'cannot reach the service',
    ],
    ['no image', { images: [] }, {}, 'runs images by apptainer, and the job has none'],
    ['a folder with a colon', {}, { dataPath: '/data/a:b' }, 'has a colon'],
    ['a GPU where there is none', {}, { resources: { gpus: { count: 1, type: 'a100' } } }, 'a100'],
  ])('%s', (_, fields, given, sentence) => {
    expect(() => prepare(fields, given)).toThrow(sentence);
  });

  test('a service on the same machine as slurmrestd is reached by its loopback address', () => {
    const request = prepare({}, { api: 'http://127.0.0.1:8787' });
    expect(JSON.stringify(request)).toContain('"CW_API":"http://127.0.0.1:8787"');
  });

  test.each([
    ['address', { address: undefined }],
    ['address', { address: 'slurm.example.org:6820' }],
    ['address', { address: 'http://slurm.example.org:6820' }],
    ['address', { address: 'http://localhost.example.org:6820' }],
    ['credentials', { credentials: undefined }],
    ['outputPath', { outputPath: undefined }],
    ['user', { user: undefined }],
    ['partition', { partition: '' }],
    ['apiVersion', { apiVersion: undefined }],
    ['apiVersion', { apiVersion: 'v0.0.40' }],
    ['container', { container: undefined }],
    ['container', { script: 'srun true' }],
    ['command', { container: 'bare' }],
    ['logFolder', { logFolder: 'logs' }],
    ['shellEnvironment.CW_TOKEN', { shellEnvironment: { CW_TOKEN: 'x' } }],
    ['mounts.0.target', { mounts: [{ source: '/a', target: 'b' }] }],
  ])('a target is refused for its %s', (field, fields) => {
    expect(() => launcherOf(fields)).toThrow(`field ${field}:`);
  });

  test('plain HTTP to another machine is taken where the target says so', () => {
    const address = 'http://slurm.example.org:6820';
    expect(() => launcherOf({ address })).toThrow(/travel in the clear.*"plainHttp": true/);
    expect(launcherOf({ address, plainHttp: true }).engine).toBe('slurm');
  });

  test('a field that there is not is named', () => {
    expect(() => launcherOf({ partitoin: 'gpu' })).toThrow('partitoin');
  });
});
