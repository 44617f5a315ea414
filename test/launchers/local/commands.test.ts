// What a local target runs for which trainer.

import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { TrainerKind } from '../../../api/contract/settings.ts';
import { createLocalLauncher } from '../../../api/launchers/local/local.ts';
import { specOf, targetOf } from '../../support/launch-specs.ts';
import { observed } from '../contract.ts';

const work = mkdtempSync(join(tmpdir(), 'counterweight-launches-'));
const stateDir = join(work, 'launches');

function launcherWith(fields: object) {
  const target = targetOf({ engine: 'local', dataPaths: { liver: work }, ...fields });
  const launcher = createLocalLauncher(target, { stateDir });
  const prepare = (trainer: TrainerKind, launchKey = 'cw-j-1') =>
    launcher.prepare(specOf(target, { launchKey, jobId: 'j', trainer }));
  return { launcher, prepare };
}

test('each trainer has its own command, and "command" is for those without one', () => {
  const usual = launcherWith({}).prepare;
  expect(usual('nnunet').command).toEqual(['counterweight-nnunet', 'run']);
  expect(usual('counterweight').command).toContain('--import');
  const { prepare } = launcherWith({ command: ['any'], commands: { nnunet: ['adapter', 'run'] } });
  expect(prepare('nnunet').command).toEqual(['adapter', 'run']);
  expect(prepare('counterweight').command).toEqual(['any']);
});

test('the environment of a target reaches its trainers, under what the job says', async () => {
  const file = join(work, 'env.json');
  const script = join(work, 'env.mjs');
  writeFileSync(
    script,
    `import { writeFileSync } from 'node:fs';
     writeFileSync(${JSON.stringify(file)}, JSON.stringify(process.env));`,
  );
  const { launcher, prepare } = launcherWith({
    commands: { nnunet: [process.execPath, script] },
    environment: { nnUNet_preprocessed: '/data/preprocessed' },
    outputPath: join(work, 'out'),
  });
  const handle = await launcher.submit(prepare('nnunet', 'cw-env-1'), 'cw_token');
  await observed(launcher, handle, (found) => found?.state === 'exited');
  expect(existsSync(file)).toBe(true);
  const { nnUNet_preprocessed, CW_JOB } = JSON.parse(readFileSync(file, 'utf8'));
  expect([nnUNet_preprocessed, CW_JOB]).toEqual(['/data/preprocessed', 'j']);
});

test.each([
  ['commands.nnunet', { commands: { nnunet: 'counterweight-nnunet run' } }],
  ['commands', { commands: { monai: ['run'] } }],
  ['command', { command: [] }],
  ['comand', { comand: ['run'] }],
])('a target is refused for its %s', (field, fields) => {
  const named = field === 'comand' ? 'Unrecognized key: "comand"' : `field ${field}:`;
  expect(() => launcherWith(fields)).toThrow(named);
});

test('a target is refused for a variable that only the service may set', () => {
  expect(() => launcherWith({ environment: { CW_TOKEN: 'mine' } })).toThrow(/CW_TOKEN/);
});

test('a program that is not there is a warning of the check, and the end of a job', async () => {
  const { launcher, prepare } = launcherWith({ commands: { nnunet: ['no-such-adapter', 'run'] } });
  const [finding] = await launcher.check();
  expect(finding).toEqual({
    severity: 'warning',
    detail: expect.stringContaining('no program "no-such-adapter"; pip install trainer/nnunet'),
  });
  const handle = await launcher.submit(prepare('nnunet', 'cw-none-1'), 'cw_token');
  const seen = await observed(launcher, handle, (found) => found?.state === 'failed');
  expect(JSON.stringify(seen)).toContain('pip install trainer/nnunet');
});

test('a program that is there is no finding', async () => {
  const { launcher } = launcherWith({ commands: { nnunet: [process.execPath] } });
  expect(await launcher.check()).toEqual([{ severity: 'ok', detail: expect.any(String) }]);
});
