// The client against a made-up fetch: what is sent again and what is not, and how a refusal reads.

import { describe, expect, test } from 'vitest';
import { problemText } from '../../api/contract/problems.ts';
import { createClient, type Failure } from '../../trainer/client.ts';

type Step = Error | { status?: number; body?: unknown; headers?: Record<string, string> };

/** A client whose requests are answered step by step, the last one again and again. */
function clientOn(steps: Step[], options: { api?: string; token?: string } = {}) {
  const sent: (RequestInit & { url: string })[] = [];
  const pauses: number[] = [];
  const client = createClient({
    api: options.api ?? 'http://service/',
    token: options.token,
    fetch: (async (url: string, init: RequestInit) => {
      sent.push({ url, ...init });
      const step = steps.length > 1 ? (steps.shift() as Step) : steps[0];
      if (step instanceof Error) throw step;
      const { status = 200, body = {}, headers } = step;
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      return new Response(text, { status, headers });
    }) as typeof fetch,
    sleep: async (milliseconds) => {
      pauses.push(milliseconds);
    },
    random: () => 1,
  });
  return { client, sent, pauses };
}

const away = { status: 503, body: { status: 503, title: 'away', detail: 'away' } };
const lost = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } });

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  return await work.then(
    () => expect.fail('it did not fail'),
    (error: Failure) => error,
  );
}

describe('what is sent again', () => {
  test('a read, after growing pauses, until it is answered', async () => {
    const { client, sent, pauses } = clientOn([lost, away, { body: { ok: true } }]);
    expect(await client.call('GET', '/health')).toEqual({ ok: true });
    expect([sent.length, pauses]).toEqual([3, [800, 1600]]);
  });

  test('a read, after the pause that the service asks for, and never over a minute', async () => {
    const busy = (seconds: string) => ({
      ...away,
      status: 429,
      headers: { 'retry-after': seconds },
    });
    const { client, pauses } = clientOn([busy('7'), busy('4000'), { body: {} }]);
    await client.call('GET', '/v1/jobs');
    expect(pauses).toEqual([7_000, 60_000]);
  });

  test('a POST that creates, with the same key each time', async () => {
    const { client, sent } = clientOn([lost, { status: 201, body: { id: 'x' } }]);
    expect(await client.create('/v1/jobs', { seed: 1 })).toEqual({ id: 'x' });
    const keys = sent.map(({ headers }) => new Headers(headers).get('idempotency-key'));
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[0-9a-f-]{36}$/);
    expect(keys[1]).toBe(keys[0]);
  });

  test('two creations have different keys', async () => {
    const { client, sent } = clientOn([{ body: {} }]);
    await client.create('/v1/jobs', {});
    await client.create('/v1/jobs', {});
    const keys = sent.map(({ headers }) => new Headers(headers).get('idempotency-key'));
    expect(keys[0]).not.toBe(keys[1]);
  });

  test.each([
    ['in an hour', { 'retry-after': '3600' }, 1],
    ['never', {}, 1],
    ['in half a minute', { 'retry-after': '30' }, 2],
  ])('not what a limit refuses, unless there is room soon: %s', async (_, headers, times) => {
    const full = { ...away, status: 429, headers: headers as Record<string, string> };
    const { client, sent } = clientOn([full, { status: 201, body: { id: 'x' } }]);
    await client.create('/v1/jobs', {}).catch(() => {});
    expect(sent).toHaveLength(times);
  });

  test('a numbered part of an upload', async () => {
    const { client, sent } = clientOn([away, { body: {} }]);
    await client.send('POST', '/cases', { body: 'x', headers: { 'upload-part': '1' } });
    expect(sent).toHaveLength(2);
  });

  test('not a bare POST, and not a DELETE: the first may have been heard', async () => {
    for (const method of ['POST', 'DELETE']) {
      const { client, sent } = clientOn([lost]);
      expect((await failureOf(client.send(method, '/x'))).exitCode).toBe(1);
      expect(sent).toHaveLength(1);
    }
  });

  test('not a refusal', async () => {
    const { client, sent } = clientOn([{ status: 404, body: { status: 404, detail: 'none' } }]);
    expect((await failureOf(client.call('GET', '/x'))).exitCode).toBe(3);
    expect(sent).toHaveLength(1);
  });

  test('five times at most, and then it says which service is silent and what to do', async () => {
    const { client, sent } = clientOn([lost]);
    const { message, exitCode } = await failureOf(client.call('GET', '/health'));
    expect([sent.length, exitCode]).toEqual([5, 1]);
    expect(message).toMatch(/http:\/\/service \(ECONNRESET\).*npm start.*--api/);
  });
});

describe('a refusal', () => {
  const errors = [
    { line: 3, caseId: 'a', pointer: '/attributes/x', detail: 'must be a number' },
    { pointer: '/sampling/terms/0/when', detail: 'bool is needed', range: { from: 2, to: 9 } },
    { pointer: '', detail: 'no object' },
  ];
  const problem = { status: 422, title: 'x', detail: 'Nothing was stored.', errors };

  test('names line, case, pointer and characters of every error', () => {
    expect(problemText(problem)).toBe(
      [
        'Nothing was stored.',
        '  line 3, case a, /attributes/x: must be a number',
        '  /sampling/terms/0/when (characters 2 to 9): bool is needed',
        '  body: no object',
      ].join('\n'),
    );
  });

  test('shows twenty errors and how many more there are', () => {
    const many = Array.from({ length: 100 }, (_, k) => ({ line: k + 1, detail: 'bad' }));
    const lines = problemText({ ...problem, errors: many }).split('\n');
    expect([lines.length, lines.at(-1)]).toEqual([22, '  ... and 80 more']);
  });

  test('is kept as the service wrote it', async () => {
    const { client } = clientOn([{ status: 422, body: problem }]);
    expect((await failureOf(client.call('GET', '/x'))).problem).toEqual(problem);
  });

  test('of a token says where the token is given', async () => {
    const { client } = clientOn([{ status: 401, body: { status: 401, detail: 'unknown token' } }]);
    expect((await failureOf(client.call('GET', '/x'))).message).toContain('--token or CW_TOKEN');
  });

  test('by something that is not the service is shown as it came', async () => {
    const { client } = clientOn([{ status: 418, body: '<h1>proxy</h1>' }]);
    const { message, exitCode } = await failureOf(client.call('GET', '/x'));
    expect([message, exitCode]).toEqual(['<h1>proxy</h1>', 3]);
  });

  test('inside the service is a failure with the request id, not a refusal', async () => {
    const body = { status: 500, detail: 'An unexpected error', requestId: 'r7' };
    const { client } = clientOn([{ status: 500, body }]);
    const { message, exitCode } = await failureOf(client.call('POST', '/x', {}));
    expect([message, exitCode]).toEqual(['An unexpected error (request r7)', 1]);
  });
});

test('the token goes with every request, and to the address that was given', async () => {
  const { client, sent } = clientOn([{ body: {} }], { token: 'cw_x', api: 'http://service/cw/' });
  await client.call('GET', '/v1/jobs');
  expect(sent[0].url).toBe('http://service/cw/v1/jobs');
  expect(new Headers(sent[0].headers).get('authorization')).toBe('Bearer cw_x');
});

test.each(['localhost:8787', 'service', 'ftp://x', 'http://'])(
  'an address "%s" is a usage failure that shows a right one',
  (api) => {
    expect(() => clientOn([], { api })).toThrow(
      expect.objectContaining({
        exitCode: 2,
        message: expect.stringContaining('http://127.0.0.1'),
      }),
    );
  },
);
