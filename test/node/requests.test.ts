// The line of a request in the log of the Node entry: over real HTTP, with secrets in every place
// that a caller can put them, and none in the line.

import { once } from 'node:events';
import { connect } from 'node:net';
import { type ServerType, serve } from '@hono/node-server';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import { requestWitness } from '../../api/node/requests.ts';
import { closeServer } from '../../api/node/stopping.ts';
import { openTestApp, type TestApp } from '../support/app.ts';

type Line = { level: string; message: string; fields: Record<string, unknown> };

let api: TestApp;
let server: ServerType;
let port: number;
let lines: Line[];
let measured: { status: number; seconds: number }[];
let heard = () => {};

beforeAll(async () => {
  api = await openTestApp();
  const witness = requestWitness(
    (level, message, fields = {}) => {
      lines.push({ level, message, fields });
      heard();
    },
    () =>
      ({ status, seconds }) =>
        measured.push({ status, seconds }),
  );
  const app = createApp({ ...api.deps, witness });
  app.get('/slow', () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
  server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  await once(server, 'listening');
  port = (server.address() as { port: number }).port;
});
afterAll(async () => {
  await closeServer(server);
  await api.database.close();
});
beforeEach(() => {
  lines = [];
  measured = [];
});

/** Resolves with the next line of the log. */
const nextLine = () =>
  new Promise<Line>((resolve) => {
    heard = () => resolve(lines[lines.length - 1]);
  });

test('a request is one line, with what went each way and nothing that was said', async () => {
  const body = JSON.stringify({ name: 'secret-name', attributes: {} });
  const line = nextLine();
  const response = await fetch(`http://127.0.0.1:${port}/v1/datasets?secret=1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/json' },
    body,
  });
  const answer = await response.text();
  const { level, message, fields } = await line;
  expect([level, message]).toEqual(['info', 'request']);
  expect(fields).toEqual({
    requestId: response.headers.get('x-request-id'),
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    method: 'POST',
    route: '/v1/datasets',
    status: 201,
    actor: expect.stringMatching(/^[0-9a-z]{26}$/),
    ms: expect.any(Number),
    bytesIn: body.length,
    bytesOut: expect.any(Number),
  });
  expect(fields.bytesOut).toBeGreaterThan(answer.length);
  expect(fields.bytesOut).toBeLessThan(answer.length + 2_000);
  expect(JSON.stringify(lines)).not.toMatch(/secret|cw_/);
  expect(measured).toMatchObject([{ status: 201 }]);
});

test('health is said at debug only', async () => {
  const line = nextLine();
  await fetch(`http://127.0.0.1:${port}/health`);
  expect(await line).toMatchObject({ level: 'debug', fields: { route: '/health', status: 200 } });
});

test('a caller who goes away before the end is in the line', async () => {
  const line = nextLine();
  const socket = connect(port, '127.0.0.1');
  socket.write('GET /slow HTTP/1.1\r\nhost: x\r\n\r\n');
  await once(socket, 'data');
  expect(measured).toMatchObject([{ status: 200 }]);
  expect(lines).toEqual([]);
  socket.destroy();
  expect((await line).fields).toMatchObject({ route: '/slow', status: 200, cutOff: true });
});
