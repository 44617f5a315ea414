// The files of infra/slurm: a request for the example target, a token renewed in one step.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { launchTargetsSchema } from '../../api/contract/targets.ts';
import { createSlurmLauncher } from '../../api/launchers/slurm/slurm.ts';
import { specOf } from '../support/launch-specs.ts';

test('the example target makes a request for its GPU', () => {
  const [target] = launchTargetsSchema.parse(
    JSON.parse(readFileSync('infra/slurm/target.json', 'utf8')),
  );
  const launcher = createSlurmLauncher(target, { credential: async () => null });
  const request = launcher.prepare(specOf(target)) as any;
  expect(request.body.job).toMatchObject({
    tres_per_node: 'gres/gpu:1',
    time_limit: { number: 1440 },
  });
});

function renewed(scontrol: string, before: string): { file: string; folder: string; ok: boolean } {
  const folder = mkdtempSync(join(tmpdir(), 'counterweight-token-'));
  const file = join(folder, 'token');
  writeFileSync(file, before);
  writeFileSync(join(folder, 'scontrol'), `#!/bin/sh\n${scontrol}\n`, { mode: 0o755 });
  const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
  try {
    execFileSync('infra/slurm/renew-token.sh', ['lab', file, '60'], { env, stdio: 'ignore' });
    return { file, folder, ok: true };
  } catch {
    return { file, folder, ok: false };
  }
}

test('a renewed token replaces the old one, for its owner only', () => {
  const { file, folder, ok } = renewed('echo "SLURM_JWT=$1.$2.$3"', 'old');
  expect(ok).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe('token.username=lab.lifespan=60\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).sort()).toEqual(['scontrol', 'token']);
});

test.each([
  ['fails', 'exit 1'],
  ['says something else', 'echo "you may not"'],
  ['gives an empty one', 'echo SLURM_JWT='],
])('where scontrol %s, the old token stays', (_, scontrol) => {
  const { file, folder, ok } = renewed(scontrol, 'old');
  expect(ok).toBe(false);
  expect(readFileSync(file, 'utf8')).toBe('old');
  expect(readdirSync(folder).sort()).toEqual(['scontrol', 'token']);
});
