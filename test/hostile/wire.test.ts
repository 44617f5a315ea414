// What is wrong before it is a request of ours: written to the socket of a Node server byte by
// byte, or said in headers, addresses and tokens.

import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listen } from '../../api/node/server.ts';
import { adminToken, openTestApp, type TestApp } from '../support/app.ts';
import { committedDataset } from '../support/builders.ts';
import { answered, expectSilentLog, faultsOf } from './leaks.ts';

let api: TestApp;
let server: Awaited<ReturnType<typeof listen>>;
let port: number;
beforeAll(async () => {
  api = await openTestApp();
  await committedDataset(api);
  server = await listen(api.app.fetch, { port: 0, listen: '127.0.0.1' });
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  await new Promise((resolve) => server.close(() => resolve(null)));
  expectSilentLog(api, [adminToken]);
});

/** Writes bytes and reads until the other side is done, as whatever comes back. */
async function raw(text: string | Uint8Array, { cut = false } = {}): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  return await new Promise((resolve, reject) => {
    let heard = '';
    socket.on('data', (bytes) => {
      heard += bytes.toString('latin1');
    });
    socket.on('close', () => resolve(heard));
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? resolve(heard) : reject(error),
    );
    socket.write(text);
    if (cut) socket.end();
  });
}

const auth = `authorization: Bearer ${adminToken}`;
const request = (line: string, headers: string[] = [], body = '') =>
  `${line}\r\nhost: x\r\nconnection: close\r\n${[auth, ...headers].join('\r\n')}\r\n\r\n${body}`;

describe('bytes that are no request', () => {
  const broken: [string, string][] = [
    ['nonsense', 'hello\r\n\r\n'],
    [
      'two lengths',
      request('POST /v1/datasets HTTP/1.1', ['content-length: 2', 'content-length: 3'], '{}x'),
    ],
    [
      'a length and chunks',
      request(
        'POST /v1/datasets HTTP/1.1',
        ['content-length: 2', 'transfer-encoding: chunked'],
        '0\r\n\r\n',
      ),
    ],
    ['a length that is no number', request('POST /v1/datasets HTTP/1.1', ['content-length: -1'])],
    [
      'a broken chunk',
      request(
        'POST /v1/datasets HTTP/1.1',
        ['content-type: application/json', 'transfer-encoding: chunked'],
        'zz\r\n{}\r\n0\r\n\r\n',
      ),
    ],
    ['a header that goes on', request('GET /health HTTP/1.1', ['x-a: b\n: c'])],
    [
      'a bare carriage return in a header',
      request('GET /health HTTP/1.1', ['x-a: b\rset-cookie: c']),
    ],
    ['headers of 100 kB', request('GET /health HTTP/1.1', [`x-a: ${'b'.repeat(100_000)}`])],
    ['an address of 100 kB', request(`GET /${'a'.repeat(100_000)} HTTP/1.1`)],
    ['a zero character in a header', request('GET /health HTTP/1.1', ['x-a: \0'])],
    ['the start of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ];

  test.each(broken)('%s', async (_, bytes) => {
    const heard = await raw(bytes);
    expect(heard).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(heard).toContain('application/problem+json');
    expect(faultsOf({ status: 400, type: null, text: heard, from: '' })).toEqual([
      expect.stringContaining('answered null'),
    ]);
    expect(heard).not.toContain('set-cookie');
  });

  test('a body that is shorter than it says stores nothing', async () => {
    const body = '{"name":"cut","attributes":{}';
    const headers = ['content-type: application/json', `content-length: ${body.length + 1}`];
    await raw(request('POST /v1/datasets HTTP/1.1', headers, body), { cut: true });
    expect((await api.call('GET', '/v1/datasets/cut')).status).toBe(404);
  });

  test('a zipped part with a length that lies is refused, and the next request is served', async () => {
    const path = '/v1/datasets/phantom/versions';
    expect((await api.call('POST', path, { base: 1, reason: 'r' })).status).toBe(201);
    const bomb = gzipSync('0'.repeat(80 * 1024 * 1024));
    const headers = `content-length: ${bomb.length - 100}`;
    const start = request(`POST ${path}/2/cases HTTP/1.1`, [headers]);
    const heard = await raw(new Uint8Array(Buffer.concat([Buffer.from(start), bomb])));
    expect(heard).toMatch(/^HTTP\/1\.1 4\d\d /);
    expect(await raw(request('GET /health HTTP/1.1'))).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('addresses', () => {
  const paths = [
    '/v1/datasets/..%2f..%2fetc%2fpasswd',
    '/v1/datasets/../../../etc/passwd',
    '/v1/datasets/%2e%2e/%2e%2e/health',
    '/v1//datasets',
    '//v1/datasets',
    '/v1/datasets/a%00b',
    '/v1/datasets/%c0%ae%c0%ae',
    '/v1/datasets/%ff',
    '/v1/datasets/%',
    '/v1/datasets/%zz',
    '/v1/datasets/a;b=c',
    '/v1/datasets/a\\b',
    '/v1/datasets/.',
    '/V1/DATASETS',
    '/v1/datasets?limit=1&limit=2',
    '/v1/datasets?cursor=%00',
    '/v1/datasets?cursor=%ff',
    '/v1/datasets?__proto__=1&constructor=2',
    `/v1/datasets?cursor=${'a'.repeat(9000)}`,
    `/v1/datasets/${'a'.repeat(7000)}`,
    `/v1${'/a'.repeat(3000)}`,
    '/docs/..%2f..%2fpackage.json',
    '/openapi.json%00.html',
  ];
  test.each(paths)('%s leads nowhere else', async (path) => {
    for (const method of ['GET', 'POST', 'DELETE', 'TRACE', 'OPTIONS', 'QUERY']) {
      const heard = await raw(request(`${method} ${path} HTTP/1.1`, ['content-length: 0']));
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(heard)?.[1]);
      expect([method, status < 500, heard.includes('root:')]).toEqual([method, true, false]);
      const [head, text] = heard.split(/\r\n\r\n(.*)/s);
      const type = /content-type: (\S+)/i.exec(head)?.[1] ?? null;
      if (status >= 400) {
        expect(faultsOf({ status, type, text, from: method })).toEqual([]);
      }
    }
  });

  test('what a request says of itself comes back in no header', async () => {
    const heard = await raw(
      request('GET /v1/datasets/a%0d%0aset-cookie:%20b=c HTTP/1.1', [
        'x-request-id: a%0d%0aset-cookie: b',
        'idempotency-key: x%0d%0a',
        'origin: https://evil.example',
      ]),
    );
    const [head] = heard.split('\r\n\r\n');
    expect(head).not.toMatch(/set-cookie|evil|access-control/i);
  });
});

describe('tokens', () => {
  const send = async (authorization: string) =>
    answered(authorization, await api.send('GET', '/v1/datasets', undefined, { authorization }));

  test.each([
    'Bearer',
    'Bearer  ',
    'Bearer null',
    'Bearer undefined',
    `Bearer ${adminToken} `.repeat(2),
    `Bearer ${adminToken}x`,
    `Bearer ${adminToken.slice(0, -1)}`,
    `Bearer ${adminToken.toUpperCase()}`,
    `Basic ${btoa(`admin:${adminToken}`)}`,
    `Bearer ' or secret_digest like '%`,
    `Bearer ${'x'.repeat(10_000)}`,
    `Bearer eyJhbGciOiJub25lIn0.eyJyb2xlIjoiYWRtaW4ifQ.`,
    'Bearer ../../admin',
    'Bearer %00',
  ])('%s is no token', async (authorization) => {
    const answer = await send(authorization);
    expect([faultsOf(answer), answer.status]).toEqual([[], 401]);
    expect(answer.text).not.toContain(adminToken.slice(0, 12));
  });

  test('the digest that is stored of a token does not pass for it', async () => {
    const found = await api.database.orm.execute('select secret_digest from tokens');
    const [{ secret_digest: digest }] = (found as unknown as { rows: { secret_digest: string }[] })
      .rows;
    expect((await send(`Bearer ${digest}`)).status).toBe(401);
  });

  test('one that was revoked, or has expired, is not served again', async () => {
    const reader = await api.as('r', 'reader');
    expect((await send(`Bearer ${reader.token}`)).status).toBe(200);
    await api.send('DELETE', `/v1/tokens/${reader.tokenId}`);
    expect((await send(`Bearer ${reader.token}`)).status).toBe(401);
    const expiresAt = new Date(api.deps.now().getTime() + 1000).toISOString();
    const body = { name: 'n', actor: 'a', role: 'reader', expiresAt };
    const { secret } = (await api.call('POST', '/v1/tokens', body)).body;
    expect((await send(`Bearer ${secret}`)).status).toBe(200);
    api.moveClock(1000);
    expect((await send(`Bearer ${secret}`)).status).toBe(401);
  });
});
