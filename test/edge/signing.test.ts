// The head of an audit chain is signed in workerd as on Node: WebCrypto alone, and no
// compatibility flag.

import { generateKeyPairSync, verify } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Miniflare } from 'miniflare';
import { expect, test } from 'vitest';
import { headText, type Signature } from '../../api/services/audit/signing.ts';

const head = { workspace: 'w', sequence: 7, hash: 'sha256:x', at: '2026-03-01T09:00:00.000Z' };

const worker = `
  import { auditKeyOf } from './signing.ts';
  export default {
    fetch: async (request, env) =>
      Response.json(await (await auditKeyOf(env.KEY)).sign(await request.json())),
  };`;

test('a head is signed inside workerd', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const resolveDir = fileURLToPath(new URL('../../api/services/audit', import.meta.url));
  const bundled = await build({
    stdin: { contents: worker, resolveDir, loader: 'ts' },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
  });
  const miniflare = new Miniflare({
    modules: true,
    script: bundled.outputFiles[0].text,
    compatibilityDate: '2026-04-01',
    bindings: { KEY: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string },
  });
  const body = JSON.stringify(head);
  const response = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body });
  const { publicKey: shown, value } = (await response.json()) as Signature;
  await miniflare.dispose();
  expect(shown).toBe(publicKey.export({ type: 'spki', format: 'der' }).toString('base64'));
  const bytes = Buffer.from(value, 'base64');
  expect(verify(null, Buffer.from(headText(head)), publicKey, bytes)).toBe(true);
});
