// A snapshot fetched as its digest's own text: every column as the service has it, and any altered
// byte on the way is found.

import { beforeAll, expect, test } from 'vitest';
import type { Client } from '../../trainer/client.ts';
import { downloadSnapshot } from '../../trainer/snapshot-download.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot } from '../support/builders.ts';

let api: TestApp;
let digest: string;
let sent: Buffer;
let headers: Headers;
beforeAll(async () => {
  api = await openTestApp();
  digest = (await frozenSnapshot(api)).snapshot.digest;
  const accept = { accept: 'text/tab-separated-values' };
  const answer = await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, accept);
  headers = answer.headers;
  sent = Buffer.from(await answer.arrayBuffer());
});

/** A client over the service's bytes as they came, which may alter them and cuts them in pieces. */
function clientOf(alter: (bytes: Buffer) => Buffer = (bytes) => bytes, piece = 7): Client {
  const body = new ReadableStream({
    start: (controller) => {
      const bytes = alter(sent);
      for (let at = 0; at < bytes.length; at += piece) {
        controller.enqueue(bytes.subarray(at, at + piece));
      }
      controller.close();
    },
  });
  return { send: async () => new Response(body, { headers }) } as unknown as Client;
}

test('has every number of every case, in digest order', async () => {
  const { ids, targetUnits, drawUnits, lossFactors, header } = await downloadSnapshot(
    clientOf(),
    digest,
  );
  const accept = { accept: 'application/json' };
  const document = (await api.call('GET', `/v1/snapshots/${digest}/cases`, undefined, accept)).body;
  expect(header).toEqual(document.header);
  expect(
    ids.map((id, k) => ({
      id,
      targetUnits: String(targetUnits[k]),
      drawUnits: String(drawUnits[k]),
      lossFactor: lossFactors[k],
    })),
  ).toEqual(document.cases.map(({ score: _, ...one }: { score: number }) => one));
});

test('any byte that was changed, lost or added on the way is found', async () => {
  for (let at = 0; at < sent.length; at += 11) {
    const changed = (bytes: Buffer) => {
      const copy = Buffer.from(bytes);
      copy[at] ^= 1;
      return copy;
    };
    const lost = (bytes: Buffer) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    const added = (bytes: Buffer) =>
      Buffer.concat([bytes.subarray(0, at), Buffer.from('\n'), bytes.subarray(at)]);
    for (const alter of [changed, lost, added]) {
      const fetched = downloadSnapshot(clientOf(alter, 1_000), digest);
      await expect(fetched).rejects.toThrow(`is not ${digest}`);
    }
  }
});
