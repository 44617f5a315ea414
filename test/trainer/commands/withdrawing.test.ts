// `withdraw`, `usage` and `launch --accept-withdrawn` against the service in process.

import { beforeAll, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { usageText } from '../../../trainer/commands/usage.ts';
import { type JobTest, jobSettings, ledgerRange, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

/** Runs a command line; answers its exit code and what it wrote. */
async function counterweight(...args: string[]) {
  const written = { code: 0, out: '', said: '' };
  const io: Io = {
    ...systemIo,
    out: (line) => {
      written.out += `${line}\n`;
    },
    say: (line) => {
      written.said += `${line}\n`;
    },
    env: { CW_TOKEN: api.token },
    fetch: (async (url: string, init: RequestInit) => {
      const { pathname, search } = new URL(url);
      return await api.app.request(pathname + search, init);
    }) as typeof fetch,
  };
  written.code = await run(args, io);
  return written;
}

const drawn = 'case_0001';

test('withdraw says which snapshots and jobs it came too late for, and refuses a second time', async () => {
  const { id } = await api.launch();
  const why = ['--reason', 'consent withdrawn'];
  const first = await counterweight('withdraw', 'phantom', drawn, ...why);
  expect(first.code).toBe(0);
  expect(first.out).toContain(`case ${drawn} is withdrawn\n1 snapshot holds it already`);
  expect(first.out).toContain(id);
  const second = await counterweight('withdraw', 'phantom', drawn, ...why);
  expect([second.code, second.said]).toEqual([3, expect.stringContaining('withdrawn already')]);
  expect((await counterweight('withdraw', 'phantom', drawn)).code).toBe(2);
  const json = await counterweight('withdraw', 'phantom', 'case_0005', ...why, '--json');
  expect(JSON.parse(json.out)).toMatchObject({ caseId: 'case_0005', snapshots: 0, jobs: [] });
});

test('launch names the withdrawn cases, and takes them with --accept-withdrawn', async () => {
  const settings = Object.entries(jobSettings).flatMap(([key, value]) => [
    '--set',
    `${key}=${value}`,
  ]);
  const args = ['launch', '--snapshot', api.snapshot, '--reason', 'the protocol', ...settings];
  const refused = await counterweight(...args);
  expect([refused.code, refused.said]).toEqual([3, expect.stringContaining(drawn)]);
  const accepted = await counterweight(...args, '--accept-withdrawn', '--json');
  expect(accepted.code).toBe(0);
  expect(JSON.parse(accepted.out).snapshot.digest).toBe(api.snapshot);
});

test('usage shows what the service answers, as text and as JSON', async () => {
  const { id } = await api.launch({ acceptWithdrawn: true });
  await api.trainer(id).report({ sequence: 0, ledger: [await ledgerRange(api, { epoch: 0 })] });
  const { body } = await api.call('GET', `/v1/datasets/phantom/cases/${drawn}/usage?job=${id}`);
  const json = await counterweight('usage', 'phantom', drawn, '--job', id, '--json');
  expect(JSON.parse(json.out)).toEqual(body);
  const text = await counterweight('usage', 'phantom', drawn, '--job', id);
  expect(text.out.trimEnd()).toBe(usageText(body));
  expect(text.out).toContain('withdrawn by admin');
  expect(text.out).toContain(api.snapshot);
  expect(text.out).toMatch(
    new RegExp(`${id} +\\w+ +train +${body.jobs[0].drawn.count} +1 of 2 +0`),
  );
  expect(text.out).not.toContain('may have been drawn as well');
  expect((await counterweight('usage', 'phantom', 'case_9999')).code).toBe(3);
});

test('usage text says bounds where not every epoch was counted, and that none is no never', () => {
  const seen = { count: 3, epochsCounted: 1, atLeast: 5, atMost: 7, epochsVerified: 3 };
  const job = { id: 'j1', state: 'running' as const, snapshot: 'sha256:x' };
  const usage = {
    caseId: 'c',
    withdrawn: null,
    versions: [1],
    snapshots: [],
    snapshotsTotal: 0,
    jobs: [
      {
        ...job,
        side: 'train' as const,
        drawn: { ...seen, unverifiedEpochs: 2, epochsTotal: 9 },
      },
      { ...job, id: 'j2', side: 'val' as const, drawn: null },
    ],
    jobsTotal: 600,
    models: [],
  };
  expect(usageText(usage).split('\n')).toEqual([
    'case c: not withdrawn',
    'versions: 1',
    '',
    'in no snapshot',
    '',
    'job  state    side   draws   verified epochs  unverified',
    'j1   running  train  5 to 7  3 of 9           2',
    'j2   running  val    -       -                -',
    '... and 598 older ones',
    'In epochs that are not verified it may have been drawn as well.',
    'models: none',
  ]);
});
