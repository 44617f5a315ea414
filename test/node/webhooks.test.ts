// Sending for real, on the loopback address: to the address that was checked and no other, no
// redirect followed, nothing waited for without end; and the README's checks of a signature.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { resolveName, sendToAddresses } from '../../api/node/webhooks.ts';
import { readAllowedAddresses } from '../../api/services/webhooks/addresses.ts';
import type { Outgoing } from '../../api/services/webhooks/transport.ts';
import { readBytes, readWebhooks, sendByFetch } from '../../api/webhooks.ts';
import { must } from '../support/builders.ts';
import { freePort } from '../support/free-port.ts';
import { openReceiver, type Receiver } from '../support/webhook-receiver.ts';
import { openWebhookTest, type WebhookTest, webhookKey } from '../support/webhooks.ts';

let receiver: Receiver;
let other: Receiver;
beforeAll(async () => {
  [receiver, other] = [await openReceiver(), await openReceiver()];
});
afterAll(() => Promise.all([receiver.close(), other.close()]));
beforeEach(() => {
  receiver.requests.length = 0;
  other.requests.length = 0;
  receiver.answerWith((response) => response.writeHead(204).end());
});

const outgoing = (change: Partial<Outgoing> = {}): Outgoing => ({
  url: new URL(`http://hooks.example.org:${receiver.port}/in?key=1`),
  addresses: ['127.0.0.1'],
  headers: { 'webhook-id': 'evt_1', 'content-type': 'application/json' },
  body: '{"text":"größer"}',
  timeoutMs: 10_000,
  ...change,
});
const throughFetch = (one: Outgoing) =>
  sendByFetch({ ...one, url: new URL(one.url.href.replace('hooks.example.org', '127.0.0.1')) });

test('the request goes to the address given, whatever the name means elsewhere', async () => {
  const answer = await sendToAddresses(outgoing());
  expect(answer).toEqual({ status: 204, retryAfter: null, text: '' });
  expect(receiver.requests).toMatchObject([
    {
      path: '/in?key=1',
      headers: { host: `hooks.example.org:${receiver.port}`, 'webhook-id': 'evt_1' },
      body: '{"text":"größer"}',
    },
  ]);
});

test('without an address that was checked nothing is sent', async () => {
  await expect(sendToAddresses(outgoing({ addresses: undefined }))).rejects.toThrow('no address');
  expect(receiver.requests).toEqual([]);
});

describe.each([
  ['sockets', sendToAddresses],
  ['fetch', throughFetch],
])('through %s', (_, send) => {
  test('a redirect is an answer and is not followed', async () => {
    receiver.answerWith((response) =>
      response.writeHead(307, { location: `http://127.0.0.1:${other.port}/` }).end('over there'),
    );
    expect(await send(outgoing())).toMatchObject({ status: 307, text: 'over there' });
    expect([receiver.requests.length, other.requests]).toEqual([1, []]);
  });

  test('a receiver that does not answer is left after the time-out', async () => {
    receiver.answerWith(undefined);
    const sent = send(outgoing({ timeoutMs: 50 }));
    await expect(sent).rejects.toThrow('did not answer within 0.05 seconds');
  });

  test('an answer that never ends is read a little, and its status counts', async () => {
    receiver.answerWith((response) => {
      response.writeHead(500, { 'retry-after': '60' });
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    const { status, retryAfter, text } = await send(outgoing());
    expect([status, retryAfter, text]).toEqual([500, '60', 'x'.repeat(readBytes)]);
  });

  test('an answer that stalls in its body counts by its status after the time-out', async () => {
    receiver.answerWith((response) => {
      response.writeHead(200).write('slow');
    });
    expect(await send(outgoing({ timeoutMs: 200 }))).toMatchObject({ status: 200, text: 'slow' });
  });

  test('what is no text is shown as far as it is', async () => {
    receiver.answerWith((response) => response.writeHead(400).end(Buffer.from([0x61, 0xff, 0x62])));
    expect((await send(outgoing())).text).toBe('a\ufffdb');
  });

  test('a receiver that closes the connection did not answer', async () => {
    receiver.answerWith((response) => response.socket?.destroy());
    await expect(send(outgoing())).rejects.toThrow(/closed the connection|could not be reached/);
  });
});

test('where nobody listens, and where there is no TLS, it is said without the address', async () => {
  const url = new URL(`http://hooks.example.org:${await freePort()}/`);
  const refused = await sendToAddresses(outgoing({ url })).catch((error: Error) => error.message);
  expect(refused).toBe('refused the connection');
  const secure = new URL(`https://hooks.example.org:${receiver.port}/`);
  const plain = await sendToAddresses(outgoing({ url: secure })).catch((error) => error.message);
  expect(plain).toMatch(/^could not be reached: .*(SSL|TLS|EPROTO|wrong version)/i);
  expect([refused, plain].join()).not.toContain('127.0.0.1');
});

test('names are resolved by the system, and one that does not exist is said', async () => {
  expect(await resolveName('localhost')).toContain('127.0.0.1');
  await expect(resolveName('nothing.invalid')).rejects.toThrow(/no such name|did not answer/);
});

test('both variables are read, and webhooks are off without a key', async () => {
  const surroundings = { send: sendToAddresses };
  const allow = '127.0.0.1';
  expect(await readWebhooks({ key: undefined, allow }, surroundings)).toBeUndefined();
  const read = await readWebhooks({ key: webhookKey, allow }, surroundings);
  expect(read).toMatchObject({ allowed: readAllowedAddresses(allow), send: sendToAddresses });
  for (const wrong of [
    { key: 'short', allow },
    { key: webhookKey, allow: '1.2.3' },
  ]) {
    await expect(readWebhooks(wrong, surroundings)).rejects.toThrow(/^CW_WEBHOOK_/);
  }
});

describe('a delivery as it came', () => {
  let api: WebhookTest;
  let secret: string;
  beforeAll(async () => {
    api = await openWebhookTest();
    const surroundings = { send: sendToAddresses, resolve: resolveName };
    api.deps.webhooks = await readWebhooks({ key: webhookKey, allow: '127.0.0.1' }, surroundings);
    // What the README's snippets look at is the clock of this machine.
    api.moveClock(Date.now() - api.deps.now().getTime());
    ({ secret } = await api.add(['token.*'], `http://127.0.0.1:${receiver.port}/in`));
  });
  beforeEach(async () => {
    await api.happen();
    await api.tick();
  });

  const readme = readFileSync(
    resolve(import.meta.dirname, '../../api/services/webhooks/README.md'),
    'utf8',
  );
  const snippet = (language: string) =>
    (new RegExp(`\`\`\`${language}\n([^]*?)\n\`\`\``).exec(readme) as RegExpExecArray)[1];

  /** The delivery, and what nobody may take for it. */
  function cases() {
    const { headers, body } = receiver.requests[0];
    const id = headers['webhook-id'] as string;
    const at = headers['webhook-timestamp'] as string;
    const signature = headers['webhook-signature'] as string;
    const given = { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signature };
    const changed = (change: object) => ({ headers: { ...given, ...change }, body, secret });
    return [
      { ...changed({}), genuine: true },
      { ...changed({ 'webhook-signature': `v1,AAAA ${signature}` }), genuine: true },
      { ...changed({}), body: body.replace('token.created', 'token.revoked'), genuine: false },
      { ...changed({}), secret: `whsec_${webhookKey}`, genuine: false },
      { ...changed({ 'webhook-id': `${id}0` }), genuine: false },
      { ...changed({ 'webhook-timestamp': String(Number(at) + 1) }), genuine: false },
      { ...changed({ 'webhook-timestamp': String(Number(at) - 400) }), genuine: false },
      { ...changed({ 'webhook-timestamp': 'x' }), genuine: false },
      { ...changed({ 'webhook-signature': 'v1,' }), genuine: false },
    ];
  }

  test('is genuine by the README’s check for Node, and nothing else is', async () => {
    const module = `data:text/javascript,${encodeURIComponent(snippet('js'))}`;
    const { verified } = await import(/* @vite-ignore */ module);
    for (const { headers, body, secret: by, genuine } of cases()) {
      expect([headers, verified(by, headers, body)]).toEqual([headers, genuine]);
    }
  });

  test('is genuine by the README’s check for Python, and nothing else is', ({ skip }) => {
    const given = cases().filter(({ headers }) => headers['webhook-timestamp'] !== 'x');
    const lines = [
      snippet('python'),
      'import json, sys',
      'given = json.load(sys.stdin)',
      'print(json.dumps([verified(g["secret"], g["headers"], g["body"]) for g in given]))',
    ];
    const input = JSON.stringify(given);
    const ran = spawnSync('python3', ['-c', lines.join('\n')], { input, encoding: 'utf8' });
    if (ran.error !== undefined) skip('SKIPPED: no python3 here; install it to check the snippet');
    expect(ran.stderr).toBe('');
    expect(JSON.parse(ran.stdout)).toEqual(given.map(({ genuine }) => genuine));
  });

  test('is what the service says it sent, and a ping comes the same way', async () => {
    const { id } = (await must(api, 200, 'GET', '/v1/webhooks')).items[0];
    const ping = await must(api, 200, 'POST', `/v1/webhooks/${id}/test`);
    expect(ping).toMatchObject({ state: 'delivered', lastStatus: 204 });
    expect(receiver.requests.map(({ body }) => JSON.parse(body).type)).toEqual([
      'token.created',
      'ping',
    ]);
  });

  test('goes to a listed address alone, not to the next one on this machine', async () => {
    const refused = await api.call('POST', '/v1/webhooks', {
      url: `http://127.0.0.2:${other.port}/`,
      events: ['*'],
      reason: 'why',
    });
    expect([refused.status, other.requests]).toEqual([422, []]);
  });
});
