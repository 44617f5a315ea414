// The app inside workerd, as Cloudflare runs it, where something is missing: without a database it
// still describes itself, and a wrong binding is a problem document for whoever asks and a sentence
// in the log for whoever can mend it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleOf, startWorker, type TestWorker } from '../support/worker.ts';

/** Nobody listens there. */
const nowhere = 'postgres://nobody:secret-word@127.0.0.1:9/none';

test('the bundle needs no module of Node', async () => {
  expect(await bundleOf('api/worker.ts')).not.toMatch(/(from|import|require)\s*\(?\s*["']node:/);
});

describe('a Worker whose database does not answer', () => {
  let worker: TestWorker;
  beforeAll(async () => {
    worker = await startWorker({
      DATABASE_URL: nowhere,
      CW_NEON_PROXY: '127.0.0.1:9/v2',
      CW_VERSION: '9.9.9',
    });
  });
  afterAll(() => worker?.stop());

  test('answers its OpenAPI document, without any node compatibility flag', async () => {
    const response = await fetch(`${worker.url}/openapi.json`);
    expect(response.status).toBe(200);
    const document = (await response.json()) as { info: { version: string }; paths: object };
    expect(document.info.version).toBe('9.9.9');
    expect(Object.keys(document.paths)).toContain('/v1/trainer/reports');
  });

  test.each(['/health', '/v1/datasets'])('says so at %s, as a problem document', async (path) => {
    const response = await fetch(worker.url + path, { headers: { authorization: 'Bearer cw_x' } });
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({
      status: 503,
      title: 'Not available at the moment',
      detail: 'The database does not answer; try again in a moment.',
      requestId: response.headers.get('x-request-id'),
    });
  });

  test('fails its cron, so that Cloudflare shows it', async () => {
    expect(await worker.cron()).toBe('exception');
  });
});

const target = { name: 'lab', engine: 'agent' };

describe.each([
  ['no database', {}, 'DATABASE_URL is not set'],
  ['no address of a database', { DATABASE_URL: 'nonsense' }, 'DATABASE_URL is no address'],
  [
    'the pooler of Neon',
    { DATABASE_URL: 'postgres://a:secret-word@ep-cool-sun-pooler.eu-central-1.aws.neon.tech/main' },
    'DATABASE_URL names the pooler of Neon',
  ],
  [
    'a proxy on another machine',
    { DATABASE_URL: nowhere, CW_NEON_PROXY: 'db.example.org:80/v2' },
    'CW_NEON_PROXY is not encrypted',
  ],
  [
    'targets that are no JSON',
    { DATABASE_URL: nowhere, CW_TARGETS: '[{"name": "secret-word' },
    'the JSON in CW_TARGETS cannot be read',
  ],
  [
    'a file of targets',
    { DATABASE_URL: nowhere, CW_TARGETS: '/etc/targets.json' },
    'there are no files here',
  ],
  [
    'a target without an address for its trainers',
    { DATABASE_URL: nowhere, CW_TARGETS: JSON.stringify([target]) },
    'CW_PUBLIC_URL is not set: trainers of target "lab" need',
  ],
  [
    'a signing key that is none',
    { DATABASE_URL: nowhere, CW_AUDIT_SIGNING_KEY: 'nonsense' },
    'CW_AUDIT_SIGNING_KEY: it is no Ed25519 private key',
  ],
  [
    'a file for the heads of audit chains',
    { DATABASE_URL: nowhere, CW_AUDIT_ANCHOR: 'heads.ndjson' },
    'CW_AUDIT_ANCHOR: there are no files here',
  ],
])('a Worker with %s', (_what, bindings, sentence) => {
  test('answers 503 without details, and its log says what is wrong', async () => {
    const worker = await startWorker(bindings);
    const response = await fetch(`${worker.url}/v1/datasets`);
    const text = await response.text();
    const cron = await worker.cron();
    await worker.stop();
    expect([response.status, response.headers.get('content-type'), cron]).toEqual([
      503,
      'application/problem+json',
      'exception',
    ]);
    expect(text).not.toMatch(/secret-word|CW_|DATABASE_URL/);
    const { requestId } = JSON.parse(text);
    const entry = worker.logged().find((one) => one.requestId === requestId);
    expect(entry).toMatchObject({ level: 'error', path: '/v1/datasets' });
    expect(entry?.causes).toContainEqual(expect.stringContaining(sentence));
  });
});
