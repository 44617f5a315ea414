// The head of an audit chain is sent to an address from workerd as from Node, and a redirect is
// refused there too.

import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Response as Answer, Miniflare } from 'miniflare';
import { expect, test } from 'vitest';

const worker = `
  import { readAnchor } from './anchors.ts';
  export default {
    fetch: async (request) => {
      const { address, head } = await request.json();
      try {
        await readAnchor(address).write(head);
        return new Response('written');
      } catch (error) {
        return new Response(error.message);
      }
    },
  };`;

test('a head is sent from inside workerd, and a redirect is no success', async () => {
  const bundled = await build({
    stdin: {
      contents: worker,
      resolveDir: fileURLToPath(new URL('../../api', import.meta.url)),
      loader: 'ts',
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
  });
  const heard: unknown[] = [];
  const miniflare = new Miniflare({
    modules: true,
    script: bundled.outputFiles[0].text,
    compatibilityDate: '2026-04-01',
    outboundService: async (request: { url: string; json: () => Promise<unknown> }) => {
      heard.push([request.url, await request.json()]);
      if (request.url.endsWith('/heads')) return new Answer('kept');
      return new Answer(null, { status: 302, headers: { location: 'https://b.example/heads' } });
    },
  });
  const said = async (address: string) => {
    const body = JSON.stringify({ address, head: { sequence: 7 } });
    const response = await miniflare.dispatchFetch('http://worker/', { method: 'POST', body });
    return await response.text();
  };
  const kept = await said('https://a.example/heads');
  const moved = await said('https://a.example/moved');
  await miniflare.dispose();
  expect([kept, moved]).toEqual(['written', 'https://a.example answered 302']);
  expect(heard).toEqual([
    ['https://a.example/heads', { sequence: 7 }],
    ['https://a.example/moved', { sequence: 7 }],
  ]);
});
