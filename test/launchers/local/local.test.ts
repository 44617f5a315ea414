// The local launcher: the suite of all launchers, and what only processes have.

import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { createLocalLauncher } from '../../../api/launchers/local/local.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';
import { type Engine, launcherCases, observed, type Started } from '../contract.ts';

const work = mkdtempSync(join(tmpdir(), 'counterweight-launches-'));
const stateDir = join(work, 'launches');
let launches = 0;

function prepared(script: string, job = `j${++launches}`) {
  const file = join(work, `${job}-${++launches}.mjs`);
  writeFileSync(file, script);
  const target = targetOf({
    engine: 'local',
    outputPath: join(work, 'out'),
    command: [process.execPath, file],
  });
  const launcher = createLocalLauncher(target, { stateDir });
  const launchKey = `cw-${job}-${launches}`;
  const request = launcher.prepare(specOf(target, { launchKey, jobId: job, dataPath: work }));
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
  const secrets = [
    ...['CW_ADMIN_TOKEN', 'CW_AUDIT_SIGNING_KEY', 'CW_AUDIT_ANCHOR', 'CW_TARGETS', 'CW_PUBLIC_URL'],
    ...['DATABASE_URL', 'DATABASE_OWNER_URL', 'PGPASSWORD', 'AWS_SECRET_ACCESS_KEY', 'SLURM_TOKEN'],
  ];
  for (const name of secrets) vi.stubEnv(name, 'secret');
  vi.stubEnv('CUDA_VISIBLE_DEVICES', '1');
  const file = join(work, 'env.json');
  const { launcher, handle } = await start(dump(file), 'env');
  vi.unstubAllEnvs();
  await observed(launcher, handle, (found) => found?.state === 'exited');
  const env = JSON.parse(readFileSync(file, 'utf8'));
  expect(env).toMatchObject({
    CW_JOB: 'env',
    CW_TOKEN: 'cw_token',
    CW_DATA: work,
    CW_OUT: join(work, 'out/env'),
    CUDA_VISIBLE_DEVICES: '1',
    PATH: process.env.PATH,
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
  const dataPaths = { liver: join(work, 'nowhere') };
  const target = targetOf({ engine: 'local', dataPaths, command: [process.execPath] });
  const findings = await createLocalLauncher(target, { stateDir }).check();
  expect(findings).toEqual([{ severity: 'error', detail: expect.stringContaining('nowhere') }]);
});

test('refuses an outputPath that cannot be made, before it takes the key', async () => {
  const file = join(work, 'a-file');
  writeFileSync(file, '');
  const outputPath = join(file, 'out');
  const target = targetOf({
    engine: 'local',
    outputPath,
    command: [process.execPath, '--version'],
  });
  const launcher = createLocalLauncher(target, { stateDir });
  const launchKey = 'cw-nowhere-1';
  const request = launcher.prepare(specOf(target, { launchKey, jobId: 'nowhere', dataPath: work }));
  await expect(launcher.submit(request, 'cw_token')).rejects.toMatchObject({
    kind: 'launcher-failed',
    detail: expect.stringMatching(
      /field outputPath: .*a-file\/out\/nowhere cannot be made: ENOTDIR/,
    ),
  });
  expect(existsSync(join(stateDir, launchKey))).toBe(false);
  expect(await launcher.check()).toContainEqual({
    severity: 'error',
    detail: `outputPath ${outputPath} cannot be written: ${file} is no folder`,
  });
});

test.each(['.', 'new/one'])('finds that outputPath %s can be written', async (folder) => {
  const outputPath = join(work, folder);
  const target = targetOf({ engine: 'local', outputPath, command: [process.execPath] });
  const findings = await createLocalLauncher(target, { stateDir }).check();
  const detail = `outputPath ${outputPath} can be written`;
  expect(findings).toContainEqual({ severity: 'ok', detail });
});
