// The service as Cloudflare runs it: api/worker.ts in one file, inside workerd.

import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { Log, LogLevel, Miniflare } from 'miniflare';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What `wrangler deploy` would upload of an entry. */
export async function bundleOf(entry: string, { minify = false } = {}): Promise<string> {
  const bundled = await build({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*', 'cloudflare:*'],
    minify,
    logLevel: 'error',
  });
  return bundled.outputFiles[0].text;
}

let bundled: Promise<string> | undefined;
/** Made once for a file of tests. */
function bundle(): Promise<string> {
  bundled ??= bundleOf('api/worker.ts');
  return bundled;
}

export type TestWorker = {
  url: string;
  /** A run of cron, as Cloudflare starts it; its outcome. */
  cron: () => Promise<string>;
  /** The lines of the log so far, parsed where they are the service's own. */
  logged: () => Record<string, unknown>[];
  miniflare: Miniflare;
  stop: () => Promise<void>;
};

/** Starts the service with bindings, on a loopback port of its own. */
export async function startWorker(
  bindings: Record<string, string>,
  { inspectorPort }: { inspectorPort?: number } = {},
): Promise<TestWorker> {
  const lines: string[] = [];
  const miniflare = new Miniflare({
    modules: true,
    script: await bundle(),
    compatibilityDate,
    bindings,
    log: new Log(LogLevel.NONE),
    handleRuntimeStdio: (stdout: Readable, stderr: Readable) => {
      for (const stream of [stdout, stderr]) stream.on('data', (part) => lines.push(String(part)));
    },
    unsafeTriggerHandlers: true,
    // Without Miniflare's own worker in front, which keeps and zips what passes through it.
    unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
    inspectorPort,
  });
  const url = (await miniflare.unsafeGetDirectURL()).origin;
  return {
    url,
    cron: async () => {
      const response = await miniflare.dispatchFetch('http://worker/cdn-cgi/handler/scheduled');
      return await response.text();
    },
    logged: () => parsed(lines.join('')),
    miniflare,
    stop: () => miniflare.dispose(),
  };
}

/** The date of workerd's behaviour that is deployed: one place, infra/cloudflare. */
const compatibilityDate = /"compatibility_date": "([\d-]+)"/.exec(
  readFileSync(new URL('../../infra/cloudflare/wrangler.jsonc', import.meta.url), 'utf8'),
)?.[1];

function parsed(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    try {
      const value = JSON.parse(line);
      return typeof value === 'object' && value !== null ? [value] : [];
    } catch {
      return [];
    }
  });
}
