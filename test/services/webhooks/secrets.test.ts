// Signatures against the vector of the Standard Webhooks libraries and against Node's own HMAC;
// secrets encrypted under the key of the deployment, which nothing else opens.

import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  newSigningSecret,
  type SecretBox,
  secretBoxOf,
  signedHeaders,
} from '../../../api/services/webhooks/secrets.ts';

describe('a signature', () => {
  const vector = {
    secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    at: new Date(1614265330_000),
    body: '{"test": 2432232314}',
  };

  test('is the one that libraries of Standard Webhooks expect', async () => {
    expect(await signedHeaders(vector)).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });

  test.each([
    ['body', { body: '{"test": 2432232315}' }],
    ['id', { id: 'msg_p5jXN8AQM9LWM0D4loKWxJel' }],
    ['time', { at: new Date(1614265331_000) }],
    ['secret', { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx' }],
  ])('is another one for another %s', async (_, change) => {
    const { 'webhook-signature': other } = await signedHeaders({ ...vector, ...change });
    expect(other).not.toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });

  test('is HMAC-SHA256 as Node computes it, of whatever is sent', async () => {
    const bytes = fc.uint8Array({ minLength: 24, maxLength: 64 });
    await fc.assert(
      fc.asyncProperty(bytes, fc.string({ unit: 'grapheme' }), fc.nat(), async (raw, body, ms) => {
        const secret = `whsec_${Buffer.from(raw).toString('base64')}`;
        const headers = await signedHeaders({ secret, id: 'evt_a_1', at: new Date(ms), body });
        const signed = `evt_a_1.${Math.floor(ms / 1000)}.${body}`;
        const expected = createHmac('sha256', raw).update(signed).digest('base64');
        expect(headers['webhook-signature']).toBe(`v1,${expected}`);
      }),
    );
  });
});

test('a new secret is whsec_ and 32 bytes in base64', () => {
  const secret = newSigningSecret((count) => new Uint8Array(count).fill(255));
  expect(secret).toBe(`whsec_${Buffer.alloc(32, 255).toString('base64')}`);
});

describe('the box of CW_WEBHOOK_KEY', () => {
  const [old, current] = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));
  const secret = 'whsec_c2VjcmV0';
  const iv = Uint8Array.from({ length: 12 }, (_, k) => k);
  const boxOf = async (text: string) => (await secretBoxOf(text)) as SecretBox;

  test('opens what it sealed, and a reader of the row sees nothing of it', async () => {
    const box = await boxOf(current);
    const sealed = await box.seal({ id: 'a', secret, iv });
    expect(Buffer.from(sealed, 'base64').toString('latin1')).not.toContain('whsec');
    expect(await box.open({ id: 'a', sealed })).toBe(secret);
  });

  test('does not open a row of another webhook, nor an altered one', async () => {
    const box = await boxOf(current);
    const sealed = await box.seal({ id: 'a', secret, iv });
    await expect(box.open({ id: 'b', sealed })).rejects.toThrow('CW_WEBHOOK_KEY');
    const bytes = Buffer.from(sealed, 'base64');
    for (let place = 0; place < bytes.length; place += 1) {
      const altered = Buffer.from(bytes);
      altered[place] ^= 1;
      const opened = box.open({ id: 'a', sealed: altered.toString('base64') });
      await expect(opened).rejects.toThrow('CW_WEBHOOK_KEY');
    }
  });

  test('of two keys seals under the first and opens under both', async () => {
    const before = await (await boxOf(old)).seal({ id: 'a', secret, iv });
    const both = await boxOf(`${current}, ${old}`);
    expect(await both.open({ id: 'a', sealed: before })).toBe(secret);
    const after = await both.seal({ id: 'a', secret, iv });
    expect(await (await boxOf(current)).open({ id: 'a', sealed: after })).toBe(secret);
    await expect((await boxOf(old)).open({ id: 'a', sealed: after })).rejects.toThrow(
      'put the key',
    );
  });

  test.each([
    ['not-base64!', 'CW_WEBHOOK_KEY is no base64; make one with "openssl rand -base64 32"'],
    [Buffer.alloc(31).toString('base64'), 'CW_WEBHOOK_KEY has 31 bytes and not 32'],
  ])('is not made of %s', async (text, words) => {
    await expect(secretBoxOf(text)).rejects.toThrow(words);
  });

  test('is not there without the variable', async () => {
    expect([await secretBoxOf(undefined), await secretBoxOf(' ')]).toEqual([undefined, undefined]);
  });
});
