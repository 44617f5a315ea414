// The typed client: how an operation becomes a request, and what the types refuse.

import { expect, test } from 'vitest';
import { typedClient } from '../../api/contract/client.ts';
import type { SendOptions } from '../../api/contract/sending.ts';

function clientOn(...answers: unknown[]) {
  const sent: ({ method: string; path: string } & SendOptions)[] = [];
  const client = typedClient(async (method, path, options) => {
    sent.push({ method, path, ...options });
    const body = answers.shift();
    return body === undefined ? new Response(null, { status: 204 }) : Response.json(body);
  });
  return { client, sent };
}

test('names in the path are written as one part of it, whatever they hold', async () => {
  const { client, sent } = clientOn({}, {});
  await client.ask('GET /v1/snapshots/{a}/diff/{b}', { path: { a: 'x@y:0', b: 'a/../b?' } });
  await client.ask('GET /v1/datasets/{dataset}/versions/{n}', { path: { dataset: 'x', n: 3 } });
  expect(sent.map(({ path }) => path)).toEqual([
    '/v1/snapshots/x%40y%3A0/diff/a%2F..%2Fb%3F',
    '/v1/datasets/x/versions/3',
  ]);
});

test('a query holds what is said, and no question mark where nothing is', async () => {
  const { client, sent } = clientOn({}, {}, {});
  await client.ask('GET /v1/jobs', { query: { limit: 20, batch: undefined } });
  await client.ask('GET /v1/audit', { query: { subject: 'job/a b' } });
  await client.ask('GET /v1/jobs');
  expect(sent.map(({ path }) => path)).toEqual([
    '/v1/jobs?limit=20',
    '/v1/audit?subject=job%2Fa+b',
    '/v1/jobs',
  ]);
});

test('a body is JSON, and a key makes the request repeatable', async () => {
  const { client, sent } = clientOn({}, {});
  const body = { name: 'n', actor: 'ann', role: 'reader' } as const;
  await client.ask('POST /v1/tokens', { body, key: 'once' });
  await client.ask('POST /v1/jobs/{id}/cancel', { path: { id: 'j' } });
  expect(sent[0].body).toBe(JSON.stringify(body));
  expect(sent[0].headers).toEqual({
    accept: 'application/json',
    'content-type': 'application/json',
    'idempotency-key': 'once',
  });
  expect([sent[1].body, sent[1].headers]).toEqual([undefined, { accept: 'application/json' }]);
});

test('an answer without a body is null', async () => {
  const path = { dataset: 'x', n: 1 };
  const { client } = clientOn();
  expect(await client.ask('DELETE /v1/datasets/{dataset}/versions/{n}', { path })).toBeNull();
});

test('a list is read to its last page', async () => {
  const { client, sent } = clientOn(
    { items: [1, 2], nextCursor: 'c=' },
    { items: [3], nextCursor: null },
  );
  expect(await client.askAll('GET /v1/jobs', { query: { batch: 'b' } })).toEqual([1, 2, 3]);
  expect(sent.map(({ path }) => path)).toEqual([
    '/v1/jobs?limit=500&batch=b',
    '/v1/jobs?limit=500&batch=b&cursor=c%3D',
  ]);
});

test('types refuse what the service would: the compiler checks these lines', () => {
  const { client } = clientOn();
  const never = (): unknown[] => [
    // @ts-expect-error no such operation
    client.ask('GET /v1/job'),
    // @ts-expect-error the path has a name to fill in
    client.ask('GET /v1/jobs/{id}'),
    // @ts-expect-error a body is needed
    client.ask('POST /v1/tokens'),
    // @ts-expect-error no such role
    client.ask('POST /v1/tokens', { body: { name: 'n', actor: 'a', role: 'king' } }),
    // @ts-expect-error it takes no query
    client.ask('GET /v1/jobs/{id}', { path: { id: 'a' }, query: { limit: 1 } }),
    // @ts-expect-error the ids have to be said
    client.ask('GET /v1/jobs/compare'),
    // @ts-expect-error a limit is a number
    client.ask('GET /v1/jobs', { query: { limit: '20' } }),
    // @ts-expect-error an answer has no such field
    client.ask('GET /health').then(({ nothing }) => nothing),
  ];
  expect(never).toBeTypeOf('function');
});
