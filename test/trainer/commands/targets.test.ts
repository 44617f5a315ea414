// counterweight targets: where jobs can run, what is wrong there, against the service in process.

import { beforeAll, expect, test } from 'vitest';
import { targetsText } from '../../../trainer/commands/targets.ts';
import { commandLine } from '../../support/command-line.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest({ gpuTypes: ['a100'], limits: { gpuHoursPerDay: 24, jobsAtOnce: 2 } });
});

const targets = (...args: string[]) => commandLine(api, ['targets', ...args]);

test('lists them with what they have and what is used of it', async () => {
  const { code, out } = await targets();
  expect([code, out]).toEqual([
    0,
    [
      'target  engine  datasets  GPUs  jobs at once  GPU hours of 24 h',
      'local   local   phantom   a100  2             0.0 used, 0.0 counted, of 24',
    ].join('\n'),
  ]);
});

test('shows what launched jobs may still use, for which others wait', () => {
  const gpuHours = { used: 0, counted: 2, limit: 24 };
  const one = { name: 'a', engine: 'slurm', datasets: [], gpuTypes: [], limits: {}, gpuHours };
  expect(targetsText([one])).toMatch(/ 0\.0 used, 2\.0 counted, of 24$/);
});

test('says what is wrong with one, the worst first, and exits 1', async () => {
  api.launcher.check = async () => [
    { severity: 'ok', detail: 'partition gpu is up' },
    { severity: 'error', detail: 'the token has expired' },
    { severity: 'warning', detail: 'node7 is drained' },
  ];
  const { code, out } = await targets('local');
  expect([code, out]).toEqual([
    1,
    [
      'error   the token has expired',
      'warning node7 is drained',
      'ok      partition gpu is up',
    ].join('\n'),
  ]);
  expect(JSON.parse((await targets('local', '--json')).out)).toHaveLength(3);
  api.launcher.check = async () => [{ severity: 'ok', detail: 'partition gpu is up' }];
  expect((await targets('local')).code).toBe(0);
});

test('names those that there are where one is not', async () => {
  const { code, said } = await targets('cluster');
  expect([code, said]).toEqual([3, expect.stringContaining('this deployment has: local')]);
});
