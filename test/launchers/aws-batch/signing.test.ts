// How requests to AWS are signed, with which keys, and what is said where AWS does not accept them.

import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createAwsBatchLauncher } from '../../../api/launchers/aws-batch/aws-batch.ts';
import { signedRequest } from '../../../api/launchers/aws-batch/client.ts';
import { readKeys } from '../../../api/launchers/aws-batch/credentials.ts';
import {
  awsTarget,
  type FakeAwsBatch,
  fakeCredential,
  fakeKeys,
  freshState,
  refused,
  startFakeAwsBatch,
} from '../../support/fake-aws-batch.ts';

let engine: FakeAwsBatch;
beforeAll(async () => {
  engine = await startFakeAwsBatch();
});
afterAll(() => engine.stop());
beforeEach(() => {
  Object.assign(engine, freshState());
});

const { access, secret, session } = fakeKeys;
const datetime = '20150830T123600Z';

// The first two are AWS's own test suite (get-vanilla, post-vanilla); the others were signed by
// botocore, the library of AWS for Python.
test.each([
  ['GET', 'service', {}, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['POST', 'service', {}, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  [
    'POST',
    'batch',
    { path: '/v1/describejobs', body: '{"jobs":["1"]}', sessionToken: session },
    '0230648a2ae0383e4a6442c3e9ac7b8f91cf95755b6b9d415fb931b75e62f203',
  ],
  [
    'POST',
    'logs',
    {
      body: '{"logStreamName":"x"}',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'Logs_20140328.GetLogEvents',
      },
    },
    'de95ba8747433b9d8f6c133df02e5f4b41ab5fa4d56b837d70f0d51993765811',
  ],
] as const)('signs a %s to %s as AWS does', async (method, service, given, signature) => {
  const { path = '/', sessionToken, ...init } = given as Record<string, any>;
  const region = service === 'service' ? 'us-east-1' : 'eu-central-1';
  const address =
    service === 'service'
      ? 'https://example.amazonaws.com'
      : `https://${service}.${region}.amazonaws.com`;
  const keys = { accessKeyId: access, secretAccessKey: secret, sessionToken };
  const where = { service, region, address };
  const request = await signedRequest(keys, where, { method, path, datetime, ...init });
  expect(request.headers.get('authorization')).toMatch(new RegExp(`Signature=${signature}$`));
  expect(request.redirect).toBe('manual');
});

describe('keys', () => {
  const now = new Date('2030-01-01T00:00:00Z');
  const json = (more: object) =>
    JSON.stringify({ Version: 1, AccessKeyId: access, SecretAccessKey: secret, ...more });

  test.each([
    [`${access}:${secret}`, {}],
    [`${access}:${secret}:${session}`, { sessionToken: session }],
    [json({}), {}],
    [
      json({ SessionToken: session, Expiration: '2030-01-01T02:00:00+01:00' }),
      { sessionToken: session, expiresAt: new Date('2030-01-01T01:00:00Z') },
    ],
  ])('are read from %s', (text, more) => {
    const keys = { accessKeyId: access, secretAccessKey: secret, ...more };
    expect(readKeys('aws', text, now)).toEqual(keys);
  });

  test.each([
    ['', 'neither'],
    [secret, 'neither'],
    [`[default]\naws_secret_access_key = ${secret}`, 'neither'],
    [json({ SecretAccessKey: '' }), 'neither'],
    [json({ Expiration: '2030-01-01T00:00:00Z' }), 'expired at 2030-01-01T00:00:00.000Z; write'],
  ])('are not read from %j, and no secret stands in the reason', (text, sentence) => {
    const read = () => readKeys('aws', text, now);
    expect(read).toThrow(sentence);
    expect(read).not.toThrow(secret);
  });

  test('are read anew for each request, and expired ones are not sent', async () => {
    const expired = JSON.parse(fakeCredential);
    const texts = [
      fakeCredential,
      JSON.stringify({ ...expired, Expiration: '2020-01-01T00:00:00Z' }),
    ];
    const credential = async () => texts.shift() ?? '';
    const launcher = createAwsBatchLauncher(awsTarget(engine), { credential });
    await launcher.poll([{ launchKey: 'cw-1', awsJobId: '1' }]);
    await expect(launcher.poll([{ launchKey: 'cw-1', awsJobId: '1' }])).rejects.toMatchObject({
      kind: 'launcher-failed',
      detail: expect.stringContaining('expired'),
    });
    expect(engine.asked).toHaveLength(1);
  });
});

describe('what AWS does not accept is said with what to do', () => {
  const asked = (credential = fakeCredential) => {
    const target = awsTarget(engine);
    const launcher = createAwsBatchLauncher(target, { credential: async () => credential });
    return launcher.find('cw-1').catch((error) => error);
  };

  test.each([
    [`AKIDOTHER:${secret}:${session}`, 'does not know its access key'],
    [`${access}:wrong/secret:${session}`, 'does not accept its signature'],
    [`${access}:${secret}`, 'does not know its access key'],
  ])('keys %s', async (keys, sentence) => {
    const problem = await asked(keys);
    expect(problem).toMatchObject({ kind: 'launcher-failed' });
    expect(problem.detail).toContain(sentence);
    expect(problem.detail).not.toMatch(/wrong\/secret|wJalr/);
    expect(engine.asked).toEqual([]);
  });

  test.each([
    ['ExpiredTokenException', 403, 'launcher-failed', 'have expired; write fresh ones'],
    ['AccessDeniedException', 403, 'launcher-failed', 'lacks a right'],
    ['ThrottlingException', 400, 'unavailable', 'more often than the account may'],
    ['TooManyRequestsException', 429, 'unavailable', 'more often than the account may'],
    ['SomethingNew', 429, 'unavailable', 'more often than the account may'],
    ['ServerException', 503, 'unavailable', '503 ServerException why'],
    [
      'ClientException',
      400,
      'unprocessable',
      'refuses the job (ListJobs: 400 ClientException why)',
    ],
    ['UnknownOperationException', 404, 'launcher-failed', '404 UnknownOperationException why'],
  ])('%s with status %i', async (type, status, kind, sentence) => {
    engine.instead.set('ListJobs', refused(type, 'why', status));
    const problem = await asked();
    expect(problem).toMatchObject({ kind, detail: expect.stringContaining(sentence) });
    expect(problem.detail).toContain('ListJobs');
  });
});

// In Node a signal that stands in a Request alone may be collected before it fires: a hung AWS was
// then waited for for ever.
test('a request that hangs is given up: fetch itself is given the time-out', async () => {
  const given: (RequestInit | undefined)[] = [];
  vi.stubGlobal('fetch', async (_: Request, init?: RequestInit) => {
    given.push(init);
    return Response.json({ jobSummaryList: [] });
  });
  try {
    const credential = async () => fakeCredential;
    await createAwsBatchLauncher(awsTarget(engine), { credential }).find('cw-never-1');
  } finally {
    vi.unstubAllGlobals();
  }
  expect(given.map((init) => init?.signal)).toEqual([expect.any(AbortSignal)]);
});
