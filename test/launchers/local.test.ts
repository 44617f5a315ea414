// The local launcher: the suite of all launchers, and what only processes have.

import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { resourcesSchema } from '../../api/contract/settings.ts';
import { launchTargetsSchema } from '../../api/contract/targets.ts';
import { createLocalLauncher } from '../../api/launchers/local.ts';
import { type Engine, launcherCases, observed, type Started } from './contract.ts';

const work = mkdtempSync(join(tmpdir(), 'counterweight-launches-'));
const stateDir = join(work, 'launches');
let launches = 0;

function prepared(script: string, job = `j${++launches}`) {
  const file = join(work, `${job}-${++launches}.mjs`);
  writeFileSync(file, script);
  const [target] = launchTargetsSchema.parse([
    {
      name: 'local',
      engine: 'local',
      outputPath: join(work, 'out'),
      command: [process.execPath, file],
    },
  ]);
  const launcher = createLocalLauncher(target, { stateDir });
  const environment = { CW_API: 'http://127.0.0.1:1', CW_JOB: job, CW_DATA: work };
  const resources = resourcesSchema.parse({});
  const launchKey = `cw-${job}-${launches}`;
  const request = launcher.prepare({
    launchKey,
    image: null,
    trainer: 'counterweight',
    environment,
    resources,
    target,
  });
  return { launcher, launchKey, request };
}

async function start(script: string, job?: string): Promise<Started> {
  const { launcher, launchKey, request } = prepared(script, job);
  return { launcher, launchKey, handle: await launcher.submit(request, 'cw_token') };
}

const engine: Engine = {
  start,
  reopen: async () => prepared('').launcher,
  again: async ({ launchKey }) => {
    const { launcher, request } = prepared('');
    return await launcher.submit({ ...request, launchKey }, 'cw_other');
  },
};

test.each(Object.keys(launcherCases))('%s', async (name) => {
  await launcherCases[name](engine);
});

const dump = (file: string) =>
  `import { writeFileSync } from 'node:fs'; writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.env));`;

test('gives a trainer its own environment and none of the secrets of the service', async () => {
  process.env.CW_ADMIN_TOKEN = 'secret';
  process.env.DATABASE_URL = 'postgres://secret';
  const file = join(work, 'env.json');
  const { launcher, handle } = await start(dump(file), 'env');
  delete process.env.CW_ADMIN_TOKEN;
  delete process.env.DATABASE_URL;
  await observed(launcher, handle, (found) => found?.state === 'exited');
  const env = JSON.parse(readFileSync(file, 'utf8'));
  expect(env).toMatchObject({
    CW_JOB: 'env',
    CW_TOKEN: 'cw_token',
    CW_DATA: work,
    CW_OUT: join(work, 'out/env'),
  });
  expect(JSON.stringify(env)).not.toContain('secret');
});

test('keeps the token out of everything that is stored', async () => {
  const { launcher, launchKey, handle } = await start('');
  await observed(launcher, handle, (found) => found?.state === 'exited');
  for (const name of ['launched.json', 'ended.json']) {
    const file = join(stateDir, launchKey, name);
    if (existsSync(file)) expect(readFileSync(file, 'utf8')).not.toContain('cw_token');
  }
});

test('lets the attempts of a job share one output folder', async () => {
  const [one, two] = [prepared('', 'same'), prepared('', 'same')];
  expect(one.launchKey).not.toBe(two.launchKey);
  expect((one.request.environment as any).CW_OUT).toBe((two.request.environment as any).CW_OUT);
});

test('says what is missing on the machine', async () => {
  const [target] = launchTargetsSchema.parse([
    {
      name: 'local',
      engine: 'local',
      dataPaths: { liver: join(work, 'nowhere') },
      command: [process.execPath],
    },
  ]);
  const findings = await createLocalLauncher(target, { stateDir }).check();
  expect(findings).toEqual([{ severity: 'error', detail: expect.stringContaining('nowhere') }]);
});
