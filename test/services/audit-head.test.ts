// The head of a chain: signed so that anyone can check it, and written down elsewhere by the tick.

import { generateKeyPairSync, verify } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readAnchor } from '../../api/anchors.ts';
import { anchorHeads, type SignedHead } from '../../api/services/audit/head.ts';
import { auditKeyOf } from '../../api/services/audit/signing.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { must } from '../support/builders.ts';

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
const base64 = privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64');
const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');

let api: TestApp;
beforeAll(async () => {
  api = await openTestApp();
});
afterAll(() => api.database.close());
const head = () => must(api, 200, 'GET', '/v1/audit/head');
let made = 0;
const change = () => must(api, 201, 'POST', '/v1/datasets', { name: `d${made++}`, attributes: {} });

describe('the signature', () => {
  beforeEach(() => {
    api.deps.auditKey = undefined;
  });

  test('is absent where there is no key, and so is the key', async () => {
    expect(await head()).toMatchObject({ sequence: 1 });
    expect(await head()).not.toHaveProperty('signature');
    expect((await api.call('GET', '/v1/audit/key')).status).toBe(404);
  });

  test.each([
    ['PEM', pem],
    ['base64', base64],
  ])('is over the canonical JSON of the head, with a key in %s', async (_, text) => {
    api.deps.auditKey = await auditKeyOf(text);
    await change();
    const { workspace, sequence, hash, at, signature } = await head();
    const signed = `{"at":"${at}","hash":"${hash}","sequence":${sequence},"workspace":"${workspace}"}`;
    const value = Buffer.from(signature.value, 'base64');
    expect(verify(null, Buffer.from(signed), publicKey, value)).toBe(true);
    const key = await must(api, 200, 'GET', '/v1/audit/key');
    expect(key.publicKey).toBe(spki);
    expect(signature).toEqual({ ...key, value: signature.value });
  });

  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  test.each([
    ['no key at all', 'secret'],
    ['half a key', base64.slice(0, 40)],
    ['a key of another kind', rsa.export({ type: 'pkcs8', format: 'pem' }) as string],
    ['a public key', publicKey.export({ type: 'spki', format: 'pem' }) as string],
  ])('%s stops the start with the name of the variable', async (_, text) => {
    await expect(auditKeyOf(text)).rejects.toThrow(/^CW_AUDIT_SIGNING_KEY: .*Ed25519.*openssl/);
  });
});

describe('the anchor', () => {
  let written: SignedHead[];
  let fails: boolean;
  beforeEach(() => {
    written = [];
    fails = false;
    api.moveClock(60_000);
    api.deps.anchor = {
      target: 'the safe',
      write: async (one) => {
        if (fails) throw new Error('the safe is locked');
        written.push(one);
      },
    };
  });

  test('is the head, once for as long as nothing changes, and signed', async () => {
    api.deps.auditKey = await auditKeyOf(pem);
    await change();
    const { lastAnchored: _, ...now } = await head();
    await anchorHeads(api.deps);
    api.moveClock(60_000);
    await anchorHeads(api.deps);
    expect(written).toEqual([now]);
    expect((await head()).lastAnchored).toEqual({
      sequence: now.sequence,
      hash: now.hash,
      at: new Date(api.deps.now().getTime() - 60_000).toISOString(),
      target: 'the safe',
    });
  });

  test('follows a change after a minute and not before', async () => {
    await change();
    await anchorHeads(api.deps);
    await change();
    api.moveClock(59_999);
    await anchorHeads(api.deps);
    expect(written).toHaveLength(1);
    api.moveClock(1);
    await anchorHeads(api.deps);
    expect(written.map(({ sequence }) => sequence)).toEqual([
      written[0].sequence,
      written[0].sequence + 1,
    ]);
  });

  test('that fails is a line in the log and is made up for by the next tick', async () => {
    await change();
    const before = (await head()).lastAnchored;
    fails = true;
    api.logged.length = 0;
    await anchorHeads(api.deps);
    expect(api.logged.map(({ message }) => message)).toEqual([
      'the head of the audit chain could not be written to the safe',
    ]);
    expect((await head()).lastAnchored).toEqual(before);
    fails = false;
    await anchorHeads(api.deps);
    expect(written).toHaveLength(1);
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('tells of a chain whose end was cut off, to verify and to the log', async () => {
    await change();
    await anchorHeads(api.deps);
    const { sequence } = written[0];
    const { orm } = api.database;
    await orm.execute(sql`alter table audit_entries disable trigger user`);
    await orm.execute(sql`delete from audit_entries where sequence = ${sequence}`);
    const { findings } = await must(api, 200, 'GET', '/v1/audit/verify');
    expect(findings).toMatchObject([{ kind: 'chain', sequence }]);
    expect(findings[0].detail).toContain(`entry ${sequence}, anchored at`);
    api.logged.length = 0;
    api.moveClock(60_000);
    await anchorHeads(api.deps);
    expect(api.logged.map(({ message }) => message)).toEqual([
      `the audit chain ends at ${sequence - 1}, and was anchored at ${sequence}`,
    ]);
  });
});

describe('CW_AUDIT_ANCHOR', () => {
  const one = { workspace: 'w', sequence: 3, hash: 'sha256:x', at: null };

  test('absent or empty is none', () => {
    expect([readAnchor(undefined), readAnchor(' ')]).toEqual([undefined, undefined]);
  });

  test('as a file is a line of JSON for each head', async () => {
    const lines: string[] = [];
    const appendLine = async (path: string, line: string) => {
      lines.push(path, line);
    };
    await readAnchor('heads.ndjson', { appendLine })?.write(one);
    expect(lines).toEqual(['heads.ndjson', `${JSON.stringify(one)}\n`]);
  });

  test('as an address is a POST, and another status than 2xx is a failure', async () => {
    const sent: unknown[] = [];
    let status = 204;
    const send = (async (url: URL, { method, body }: RequestInit) => {
      sent.push([url.href, method, body]);
      return new Response(null, { status });
    }) as typeof fetch;
    const anchor = readAnchor('https://safe.example/heads?key=secret', { send });
    await anchor?.write(one);
    expect(sent).toEqual([['https://safe.example/heads?key=secret', 'POST', JSON.stringify(one)]]);
    expect(anchor?.target).toBe('https://safe.example');
    status = 500;
    await expect(anchor?.write(one)).rejects.toThrow('https://safe.example answered 500');
  });

  test.each(['http://safe.example', 'ftp://safe.example', 'heads.ndjson'])(
    '%s without files is refused with the name of the variable',
    (text) => {
      expect(() => readAnchor(text)).toThrow(/^CW_AUDIT_ANCHOR/);
    },
  );
});
