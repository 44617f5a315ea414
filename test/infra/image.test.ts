// The service's image without Docker: laid into a folder by the Dockerfile's own words, with
// production packages alone, and run as its user on a tree that cannot be written to. What npm
// itself would install is tried by `infra/node/rehearse.ts`.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { contextFilter, type LaidImage, layImage } from '../../infra/node/image.ts';
import { protect, runInImage, startInImage } from '../../infra/node/image-process.ts';
import { pairsOf, readDockerfile, stagesUpTo } from '../../trainer/gpu/dockerfile.ts';
import { repositoryPaths, root } from '../house-rules/repository.ts';
import { freePort } from '../support/free-port.ts';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const text = read('infra/node/Dockerfile');
const token = 'cw_admin_token_of_an_image';

/** What `npm ci --omit=dev` installs and this machine has, each a link into node_modules here. */
function linkPackages(folder: string, words: string): void {
  expect(words).toBe('npm ci --omit=dev --ignore-scripts --no-audit --no-fund');
  const { packages } = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
  for (const path of Object.keys(packages)) {
    if (path === '' || packages[path].dev || path.lastIndexOf('node_modules/') !== 0) continue;
    if (!existsSync(join(root, path))) continue; // of another platform
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    symlinkSync(join(root, path), join(folder, path));
  }
}

describe('the image of the service', () => {
  let into: string;
  let image: LaidImage;
  const treeOf = () =>
    execFileSync('find', [join(into, 'app'), '-newer', join(into, 'app/package.json')], {
      encoding: 'utf8',
    });

  beforeAll(() => {
    into = mkdtempSync(join(tmpdir(), 'cw-image-'));
    const paths = repositoryPaths();
    image = layImage({ checkout: root, paths, into, install: linkPackages });
    protect(image);
  });
  afterAll(() => {
    execFileSync('chmod', ['-R', 'u+w', into]);
    rmSync(into, { recursive: true, force: true });
  });

  test('has what the service needs and nothing of tests or development', () => {
    for (const path of ['api/node.ts', 'migrations/0001_core.sql', 'trainer/cli.ts']) {
      expect(existsSync(join(into, 'app', path))).toBe(true);
    }
    for (const path of ['test', '.git', 'infra/node/checks.ts', 'node_modules/vitest']) {
      expect(existsSync(join(into, 'app', path))).toBe(false);
    }
  });

  test('starts on its own data, is healthy by its own check, and ends with 0 on SIGTERM', async () => {
    const before = treeOf();
    const port = String(await freePort());
    const env = { PORT: port, CW_LISTEN: '127.0.0.1', CW_ADMIN_TOKEN: token };
    expect(runInImage(image, image.healthcheck, env).status).toBe(1);
    const service = startInImage(image, image.command, env);
    const address = await service.listening;
    expect(runInImage(image, image.healthcheck, env)).toEqual({ status: 0, output: '' });
    const answer = await fetch(`${address}/health`);
    expect(await answer.json()).toMatchObject({ status: 'ok', database: 'pglite' });
    const targets = ['node', 'infra/node/counterweight.mjs', 'targets', '--json'];
    const told = runInImage(image, targets, { CW_API: address, CW_TOKEN: token });
    expect(told).toMatchObject({ status: 0, output: expect.stringContaining('"local"') });
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(existsSync(join(into, 'data/pglite/PG_VERSION'))).toBe(true);
    expect(treeOf()).toBe(before);
  }, 120_000);

  test('ends with 0 on a SIGTERM that comes while it starts, as a first process must', async () => {
    // A database that takes the connection and says nothing.
    const silent = createServer();
    const arrived = new Promise((resolve) => silent.once('connection', resolve));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const service = startInImage(image, image.command, {
      PORT: '0',
      CW_LISTEN: '127.0.0.1',
      DATABASE_URL: `postgres://a@127.0.0.1:${port}/b`,
    });
    await arrived;
    service.child.kill('SIGTERM');
    expect(await service.ended).toBe(0);
    expect(service.said).toEqual([]);
    silent.close();
  });

  test('does not start where one production package is missing', async () => {
    const modules = join(into, 'app/node_modules');
    chmodSync(modules, 0o755);
    unlinkSync(join(modules, 'prom-client'));
    const service = startInImage(image, image.command, { PORT: '0', CW_LISTEN: '127.0.0.1' });
    expect(await service.ended).toBe(1);
    expect(service.said.join('\n')).toMatch(/Cannot find package '.*prom-client'/);
  });
});

describe('the Dockerfile', () => {
  const service = (file: string) => stagesUpTo(readDockerfile(file), 'service').at(-1)!;
  const textsOf = (file: string, keyword: string) =>
    service(file)
      .instructions.filter((one) => one.keyword === keyword)
      .map((one) => one.text);

  type Rule = { name: string; holds: (file: string) => boolean; mutant: [string, string] };
  const rules: Rule[] = [
    {
      name: 'starts from a slim Node named to the last number, which a digest can replace',
      holds: (file) => /^node:22\.\d+\.\d+-bookworm-slim$/.test(service(file).from),
      mutant: ['NODE_IMAGE=node:22.23.3-bookworm-slim', 'NODE_IMAGE=node:22'],
    },
    {
      name: 'runs as a user who is not root, named by number as Kubernetes asks',
      holds: (file) => /^[1-9]\d*:[1-9]\d*$/.test(textsOf(file, 'USER').at(-1) ?? ''),
      mutant: ['USER 1000:1000', 'USER node'],
    },
    {
      name: 'starts what npm start starts, without npm or a shell between it and signals',
      holds: (file) =>
        JSON.parse(textsOf(file, 'CMD')[0]).join(' ') ===
        JSON.parse(read('package.json')).scripts.start,
      mutant: ['CMD ["node", "--import"', 'CMD ["npm", "start", "--import"'],
    },
    {
      name: 'writes to a volume and nowhere else',
      holds: (file) => {
        const env = Object.assign({}, ...textsOf(file, 'ENV').map(pairsOf));
        const volumes = textsOf(file, 'VOLUME').flatMap((one) => JSON.parse(one));
        return volumes.includes(env.CW_DATA_DIR) && env.TSX_DISABLE_CACHE === '1';
      },
      mutant: ['CW_DATA_DIR=/data', 'CW_DATA_DIR=/app/data'],
    },
    {
      name: 'carries the version of package.json',
      holds: (file) =>
        Object.assign({}, ...textsOf(file, 'ARG').map(pairsOf)).VERSION ===
        JSON.parse(read('package.json')).version,
      mutant: ['ARG VERSION=0.1.0', 'ARG VERSION=0.0.9'],
    },
    {
      name: 'exposes the port that it listens on, on every address of its own',
      holds: (file) => {
        const env = Object.assign({}, ...textsOf(file, 'ENV').map(pairsOf));
        return textsOf(file, 'EXPOSE')[0] === env.PORT && env.CW_LISTEN === '0.0.0.0';
      },
      mutant: ['EXPOSE 8787', 'EXPOSE 80'],
    },
  ];

  test.each(rules)('$name', ({ holds, mutant: [from, to] }) => {
    expect(holds(text)).toBe(true);
    expect(text).toContain(from);
    expect(holds(text.replaceAll(from, to))).toBe(false);
  });
});

test('the context has what the images copy, and no secret, history or package of this machine', () => {
  const lets = contextFilter(read('.dockerignore'));
  const there = [
    'api/node.ts',
    'migrations/0001_core.sql',
    'infra/node/counterweight.mjs',
    '.npmrc',
  ];
  expect(there.filter(lets)).toEqual(there);
  const kept = [
    ...['.git/config', '.counterweight/pglite/PG_VERSION', 'infra/compose/secrets/owner_url'],
    ...[
      'node_modules/x/y.js',
      'trainer/gpu/node_modules/x',
      'trainer/gpu/building-7/x',
      'test/x.ts',
    ],
  ];
  expect(kept.filter(lets)).toEqual([]);
});
