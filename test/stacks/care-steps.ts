// What the service owes whoever asks, however the stack is built: refusals in one form, nothing
// done twice, room for many at once, and connections given back by clients that go away.

import { expect, vi } from 'vitest';
import { attributes } from '../support/builders.ts';
import type { Caller } from './calls.ts';
import { type Chain, reason, type Step } from './chain.ts';
import { firstPiece } from './streams.ts';

async function refusals({ admin, calls, stack, known }: Chain): Promise<void> {
  const cases = `/v1/snapshots/${known.snapshot}/cases`;
  const requests: [number, string, Promise<Response>][] = [
    [401, 'unauthenticated', calls.as('cw_nobody').send('GET', '/v1/datasets')],
    [404, 'not-found', admin.send('GET', '/v1/nothing')],
    [404, 'not-found', admin.send('GET', "/v1/datasets/'; drop table cases; --")],
    [405, 'method-not-allowed', admin.send('PATCH', '/v1/datasets/liver')],
    [406, 'not-acceptable', admin.send('GET', cases, { headers: { accept: 'image/png' } })],
    [
      400,
      'invalid-request',
      admin.send('POST', '/v1/datasets', {
        body: '{"name": ',
        headers: { 'content-type': 'application/json' },
      }),
    ],
    [422, 'unprocessable', admin.send('POST', '/v1/datasets', { body: { name: '' } })],
  ];
  for (const [status, kind, asked] of requests) {
    const response = await asked;
    const body = (await response.json()) as Record<string, unknown>;
    expect([response.status, response.headers.get('content-type'), body.type]).toEqual([
      status,
      'application/problem+json',
      `/docs#problem-${kind}`,
    ]);
    expect(body.requestId).toBe(response.headers.get('x-request-id'));
  }
  const page = await (await fetch(`${stack.url}/docs`)).text();
  expect(page).toContain('/v1/snapshots/{snapshot}/draws');
}

async function revoke({ admin, calls }: Chain): Promise<void> {
  const body = { name: 'lost', actor: 'bea', role: 'reader' };
  const made = await admin.must(201, 'POST', '/v1/tokens', body);
  const bea = calls.as(made.secret);
  await bea.must(200, 'GET', '/v1/datasets');
  const { items } = await admin.must(200, 'GET', '/v1/tokens?limit=500');
  expect(JSON.stringify(items)).not.toContain(made.secret);
  await admin.must(200, 'DELETE', `/v1/tokens/${made.id}`);
  await bea.must(401, 'GET', '/v1/datasets');
}

async function atOnce(chain: Chain): Promise<void> {
  const { admin } = chain;
  const names = Array.from({ length: 20 }, (_, k) => `many-${k}`);
  const statuses = await Promise.all(
    names.map(async (name) => {
      const made = await admin.send('POST', '/v1/datasets', { body: { name, attributes } });
      const read = await admin.send('GET', `/v1/datasets/${name}`);
      const body = (await read.json()) as { name: string };
      await made.text();
      return [made.status, read.status, body.name];
    }),
  );
  expect(statuses).toEqual(names.map((name) => [201, 200, name]));
  const headers = { 'idempotency-key': 'ten at once' };
  const once = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const body = { name: 'only-once', attributes };
      const response = await admin.send('POST', '/v1/datasets', { body, headers });
      return [response.status, await response.text()] as const;
    }),
  );
  const done = once.filter(([status]) => status === 201);
  expect(once.every(([status]) => status === 201 || status === 409)).toBe(true);
  expect(new Set(done.map(([, text]) => text)).size).toBe(1);
  await quiet(chain);
}

/** Waits until no session is in the middle of anything; a stuck one stays, and fails. */
async function quiet({ stack }: Chain): Promise<void> {
  const free = async () => expect(await stack.busySessions()).toEqual([]);
  await vi.waitFor(free, { timeout: 10_000, interval: 100 });
}

const longNote = 'x'.repeat(600);

/** A draft with as many cases as no buffer on the way holds: seven megabytes. */
async function longDraft({ admin }: Chain): Promise<string> {
  const note = { note: { type: 'string', origin: 'entered' } };
  await admin.must(201, 'POST', '/v1/datasets', { name: 'long', attributes: note });
  const path = '/v1/datasets/long/versions';
  await admin.must(201, 'POST', path, { reason });
  const lines = Array.from(
    { length: 11_000 },
    (_, k) => `{"id": "case_${k}", "attributes": {"note": "${longNote}"}}\n`,
  );
  const stored = await admin.must(200, 'POST', `${path}/1/cases`, lines.join(''));
  expect(stored.inserted).toBe(lines.length);
  return `${path}/1`;
}

/** Begins to read and goes away. */
async function leave(caller: Caller, path: string, accept: string): Promise<void> {
  const leaving = new AbortController();
  const { signal } = leaving;
  const response = await caller.send('GET', path, { headers: { accept }, signal });
  expect((await firstPiece(response)).length).toBeGreaterThan(0);
  leaving.abort();
}

async function goAway(chain: Chain): Promise<void> {
  const { admin, known, stack } = chain;
  const draft = await longDraft(chain);
  const often = stack.connections + 1;
  for (let k = 0; k < often; k++) await leave(admin, `${draft}/cases`, 'application/x-ndjson');
  const events = `/v1/jobs/${known.running}/events`;
  await Promise.all(Array.from({ length: often }, () => leave(admin, events, 'text/event-stream')));
  await admin.must(200, 'GET', '/v1/datasets/long');
  await quiet(chain);
}

/** A body that begins and never ends; the client goes away. */
async function breakOff(chain: Chain): Promise<void> {
  const { admin, stack } = chain;
  const leaving = new AbortController();
  const line = new TextEncoder().encode('{"id": "half", "attributes": {"note": "n"}}\n');
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      controller.enqueue(line);
      sent += 1;
      if (sent < 100) return;
      leaving.abort();
      return new Promise(() => {});
    },
  });
  const init = { method: 'POST', body, duplex: 'half', signal: leaving.signal };
  const headers = { authorization: `Bearer ${admin.token}` };
  const url = `${stack.url}/v1/datasets/long/versions/1/cases`;
  await expect(fetch(url, { ...init, headers } as RequestInit)).rejects.toThrow();
  await admin.must(404, 'GET', '/v1/datasets/long/cases/half/usage');
  await admin.must(200, 'POST', '/v1/datasets/long/versions/1/commit', { reason });
  await quiet(chain);
}

async function withdraw({ admin }: Chain): Promise<void> {
  const body = { caseId: 'case_0011', reason: 'consent was withdrawn' };
  await admin.must(201, 'POST', '/v1/datasets/liver/withdrawals', body);
  const usage = await admin.must(200, 'GET', '/v1/datasets/liver/cases/case_0011/usage');
  expect(usage.jobs.length).toBeGreaterThan(1);
  const launcher = { snapshot: 'liver@production:0', target: 'cluster', seed: 1, reason };
  const refused = await admin.must(409, 'POST', '/v1/jobs', launcher);
  expect(refused.detail).toContain('case_0011');
}

async function auditHolds({ admin }: Chain): Promise<void> {
  const verdict = await admin.must(200, 'GET', '/v1/audit/verify');
  expect(verdict.ok).toBe(true);
  const head = await admin.must(200, 'GET', '/v1/audit/head');
  const key = await admin.must(200, 'GET', '/v1/audit/key');
  expect(head.signature.publicKey).toBe(key.publicKey);
  const text = await (await admin.send('GET', '/v1/audit/export')).text();
  const entries = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect([entries.at(-1).hash, entries.length]).toEqual([head.hash, head.sequence]);
}

export const careSteps: Step[] = [
  ['refusals are problem documents with the id of the request', refusals],
  ['a token that is revoked is refused from the next request on', revoke],
  ['twenty requests at once are each answered, and ten with one key are done once', atOnce],
  ['clients that go away in the middle of an answer leave no connection behind', goAway],
  ['a client that goes away in the middle of an upload leaves nothing stored', breakOff],
  ['a case that is withdrawn is known to whoever used it', withdraw],
  ['the audit chain of all this verifies, and its head is signed', auditHolds],
];
