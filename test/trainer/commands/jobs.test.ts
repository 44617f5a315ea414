// `jobs`, `cancel`, `retry` and `launch --resource` against the service in process.

import { beforeAll, expect, test } from 'vitest';
import { commandLine } from '../../support/command-line.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest({ gpuTypes: ['h200'] });
});

const counterweight = (...args: string[]) => commandLine(api, args);

const launch = (...more: string[]) =>
  counterweight('launch', '--snapshot', api.snapshot, '--reason', 'test', '--json', ...more);
const resource = (...given: string[]) => given.flatMap((one) => ['--resource', one]);

test('launch asks for the resources that it is given, and leaves the rest to the target', async () => {
  const given = resource('gpus=2', 'gpuType=h200', 'memoryMiB=8192', 'retries=0');
  const { code, out } = await launch(...given);
  const { resources } = JSON.parse(out);
  expect(code).toBe(0);
  expect(resources).toMatchObject({
    gpus: { count: 2, type: 'h200' },
    memoryMiB: 8192,
    retries: 0,
    cpus: 2,
  });
});

test.each([
  [['gpu=1'], 'there is no resource "gpu"; there are gpuType, gpus, cpus, memoryMiB'],
  [['gpus'], 'resources are given as key=value'],
  [['gpus=two'], 'gpus is a number'],
  [['gpuType=h200'], 'gpuType goes with --resource gpus=NUMBER'],
])('launch with resources %j is a fault of the command line', async (given, words) => {
  const { code, said } = await launch(...resource(...given));
  expect([code, said]).toEqual([2, expect.stringContaining(words)]);
});

test('cancel ends a job with its reason, and retry starts it again', async () => {
  const { id } = await api.launch();
  const early = await counterweight('retry', id);
  expect([early.code, early.said]).toEqual([3, expect.stringContaining('only a job that failed')]);
  const cancelled = await counterweight('cancel', id, '--reason', 'a wrong seed');
  expect([cancelled.code, cancelled.said]).toEqual([0, `job ${id} is cancelling`]);
  const { items } = (await api.call('GET', `/v1/audit?subject=job/${id}`)).body;
  expect(items.map(({ reason }: { reason: string }) => reason)).toContain('a wrong seed');
  api.launcher.observe(api.keyOf(id), { state: 'exited', exit: { code: 143, signal: null } });
  await api.tick();
  const { out } = await counterweight('jobs', '--limit', '1');
  expect(out).toMatch(/ cancelled +phantom +local +- /);
  const again = await counterweight('retry', id, '--json');
  expect(again.code).toBe(0);
  expect(JSON.parse(again.out).attempts).toHaveLength(2);
});

test('retry accepts withdrawn cases with a reason only', async () => {
  const { id } = await api.launch();
  const { code, said } = await counterweight('retry', id, '--accept-withdrawn');
  expect([code, said]).toEqual([3, expect.stringContaining('say why')]);
});

test('jobs are the newest first, each with why it ended or waits', async () => {
  const { id: first } = await api.launch();
  api.moveClock(1000);
  const { id: second } = await api.launch();
  api.launcher.observe(api.keyOf(second), { state: 'queued', detail: 'no GPU\nis free.' });
  await api.tick();
  const { out } = await counterweight('jobs', '--limit', '2');
  const [head, ...rows] = out.split('\n');
  expect(head).toMatch(/^job +state +dataset +target +progress +reason$/);
  expect(rows.map((row) => row.split(/ +/).slice(0, 4))).toEqual([
    [second, 'queued', 'phantom', 'local'],
    [first, expect.any(String), 'phantom', 'local'],
  ]);
  expect(rows[0]).toMatch(/local +- +no GPU is free$/);
  const json = JSON.parse((await counterweight('jobs', '--limit', '1', '--json')).out);
  expect(json.map(({ id }: { id: string }) => id)).toEqual([second]);
  expect((await counterweight('jobs', '--limit', '501')).code).toBe(3);
});
