// Reading what was frozen, in every form, and moving an alias to it.

import { gunzipSync } from 'node:zlib';
import { expect } from 'vitest';
import { type Chain, dataset, reason, type Step } from './chain.ts';

async function readForms({ admin, stack, known }: Chain): Promise<void> {
  const path = `/v1/snapshots/${known.snapshot}/cases`;
  const texts = new Map<string, string>();
  for (const accept of [
    'application/x-ndjson',
    'text/csv',
    'text/tab-separated-values',
    'application/json',
  ]) {
    const response = await admin.send('GET', path, { headers: { accept } });
    expect(response.headers.get('content-type')).toContain(accept);
    texts.set(accept, await response.text());
  }
  const ndjson = (texts.get('application/x-ndjson') as string).trimEnd().split('\n');
  const lines = ndjson.map((line) => JSON.parse(line));
  const document = JSON.parse(texts.get('application/json') as string);
  expect([document.digest, document.cases.length]).toEqual([known.snapshot, lines.length]);
  expect(lines.map(({ id, drawUnits }) => [id, drawUnits])).toEqual(
    document.cases.map((one: { id: string; drawUnits: string }) => [one.id, one.drawUnits]),
  );
  const units = lines.reduce((sum, { drawUnits }) => sum + BigInt(drawUnits), 0n);
  expect(units).toBe(2n ** 52n);
  const rows = (texts.get('text/csv') as string).trimEnd().split('\n');
  expect(rows).toHaveLength(lines.length + 1);
  const bare = await rawAnswer(stack.url + path, admin.token, 'application/x-ndjson');
  expect(bare.encoding).toBe('gzip');
  expect(gunzipSync(bare.bytes).toString()).toBe(texts.get('application/x-ndjson'));
}

/** fetch would unzip: the bytes as they came. */
async function rawAnswer(url: string, token: string, accept: string) {
  const { request } = await import('node:http');
  const headers = { authorization: `Bearer ${token}`, accept, 'accept-encoding': 'gzip' };
  return await new Promise<{ encoding?: string; bytes: Buffer }>((resolve, reject) => {
    request(url, { headers }, async (response) => {
      const parts: Buffer[] = [];
      for await (const part of response) parts.push(part as Buffer);
      resolve({ encoding: response.headers['content-encoding'], bytes: Buffer.concat(parts) });
    })
      .on('error', reject)
      .end();
  });
}

async function readOne({ admin, known }: Chain): Promise<void> {
  const path = `/v1/snapshots/${known.snapshot}`;
  const response = await admin.send('GET', path);
  const etag = response.headers.get('etag') as string;
  expect([etag, response.headers.get('cache-control')]).toEqual([
    `"${known.snapshot}"`,
    'private, max-age=31536000, immutable',
  ]);
  expect(((await response.json()) as { digest: string }).digest).toBe(known.snapshot);
  const unchanged = await admin.send('GET', path, { headers: { 'if-none-match': etag } });
  expect([unchanged.status, await unchanged.text()]).toEqual([304, '']);
  const why = await admin.must(200, 'GET', `${path}/cases/case_0011`);
  expect(why.terms.map(({ name }: { name: string }) => name)).toEqual(['rare', 'sharp']);
  await admin.must(404, 'GET', `${path}/cases/nobody`);
  const diff = await admin.must(200, 'GET', `${path}/diff/${known.later}`);
  expect(diff.removed).toEqual(['case_0002']);
  await admin.must(200, 'GET', `${path}/shares`);
  const csv = await admin.send('GET', `${path}/shares`, { headers: { accept: 'text/csv' } });
  expect((await csv.text()).split('\n').length).toBeGreaterThan(2);
}

async function replay({ admin, known }: Chain): Promise<void> {
  const path = `/v1/snapshots/${known.snapshot}/draws?seed=7&epoch=1&draws=64`;
  const response = await admin.send('GET', path);
  const ids = (await response.text()).trimEnd().split('\n');
  expect(ids).toHaveLength(64);
  expect(response.headers.get('counterweight-ledger-digest')).toMatch(/^sha256:[0-9a-f]{64}$/);
}

async function approveAndMove(chain: Chain): Promise<void> {
  const { admin, known } = chain;
  const approver = await chain.person('approver');
  const path = `/v1/snapshots/${known.snapshot}/approvals`;
  const body = { meaning: 'use', reason };
  const hasty = await approver.must(201, 'POST', path, body);
  await approver.must(200, 'POST', `${path}/${hasty.id}/revoke`, { reason });
  const alias = `${dataset}/aliases/production`;
  const move = { snapshots: { 0: known.snapshot }, reason, protected: true };
  const editor = await chain.person('editor');
  await editor.must(409, 'PUT', alias, move);
  await approver.must(201, 'POST', path, body);
  await editor.must(201, 'PUT', alias, move);
  const stands = await editor.must(200, 'GET', alias);
  expect(stands.snapshots[0].digest).toBe(known.snapshot);
  const named = await admin.must(200, 'GET', '/v1/snapshots/liver@production:0');
  expect(named.digest).toBe(known.snapshot);
  const lineage = await admin.must(200, 'GET', `/v1/snapshots/${known.snapshot}/lineage`);
  expect(JSON.stringify(lineage)).toContain('production');
  const reader = await chain.person('reader');
  await reader.must(403, 'PUT', alias, move);
}

export const snapshotSteps: Step[] = [
  ['the cases of a snapshot are the same in every form, and zipped', readForms],
  ['a snapshot is read by digest, explained, compared and broken down', readOne],
  ['the draws of an epoch are replayed', replay],
  ['an alias that is protected moves after another person has approved', approveAndMove],
];
