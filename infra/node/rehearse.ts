// Rehearses the service's image without Docker, from a clean clone of the last commit and with what
// npm really installs: `node --import tsx infra/node/rehearse.ts`. It needs a package registry.

import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { layImage } from './image.ts';
import { protect, runInImage, startInImage } from './image-process.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const say = (line: string) => process.stdout.write(`${line}\n`);
const work = mkdtempSync(join(tmpdir(), 'cw-service-image-'));
const [context, into] = ['context', 'image'].map((name) => join(work, name));

const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8' }).trim();

function install(folder: string, words: string): void {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync('sh', ['-c', words], { cwd: folder });
  if (status !== 0) throw new Error(`${words} ended with ${status}:\n${stdout}${stderr}`);
  const mebibytes = execFileSync('du', ['-sm', join(folder, 'node_modules')], { encoding: 'utf8' });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  say(`${words}: ${seconds} s, ${mebibytes.split('\t')[0]} MiB`);
}

async function rehearse(): Promise<void> {
  git('clone', '--quiet', '--local', '--no-hardlinks', repository, context);
  say(`context: ${git('-C', context, 'log', '-1', '--format=%h %s')}`);
  const paths = git('-C', context, 'ls-files').split('\n');
  mkdirSync(into);
  const image = layImage({ checkout: context, paths, into, install });
  protect(image);
  const env = { CW_LISTEN: '127.0.0.1', PORT: '18787' };
  const started = performance.now();
  const service = startInImage(image, image.command, env);
  const address = await service.listening;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${image.command.join(' ')}: listening after ${seconds} s, as user ${image.user.uid}`);
  const health = await fetch(`${address}/health`);
  say(`GET /health: ${health.status} ${await health.text()}`);
  const { status } = runInImage(image, image.healthcheck, env);
  service.child.kill('SIGTERM');
  const code = await service.ended;
  say(`its health check: ${status}; after SIGTERM: ${code}`);
  if (!health.ok || status !== 0 || code !== 0) throw new Error(service.said.join('\n'));
}

try {
  chmodSync(work, 0o755);
  await rehearse();
  say('passed: the image of the service');
} catch (error) {
  say(`FAILED: ${(error as Error).message}`);
  process.exitCode = 1;
} finally {
  spawnSync('chmod', ['-R', 'u+w', work]);
  rmSync(work, { recursive: true, force: true });
}
