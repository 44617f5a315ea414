// counterweight gpu-hours, and launches that wait for some, against the service in process.

import { beforeAll, expect, test } from 'vitest';
import type { Usage } from '../../../api/contract/usage.ts';
import { run } from '../../../trainer/cli.ts';
import { gpuHoursText } from '../../../trainer/commands/gpu-hours.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { must } from '../../support/builders.ts';
import { type JobTest, openJobTest } from '../../support/jobs.ts';

let api: JobTest;
let id: string;
beforeAll(async () => {
  api = await openJobTest({
    gpuTypes: ['a100'],
    limits: { gpuHoursPerDay: 3 },
    defaults: { gpus: { count: 1 }, timeoutSeconds: 10_800 },
  });
  id = (await api.launch()).id;
  await api.tick();
  api.moveClock(90 * 60_000);
});

/** Runs a command line; answers its exit code, what it wrote, and the requests that it made. */
async function counterweight(...args: string[]) {
  const written = { code: 0, out: '', said: '', asked: [] as string[] };
  const io: Io = {
    ...systemIo,
    out: (line) => {
      written.out += `${line}\n`;
    },
    say: (line) => {
      written.said += `${line}\n`;
    },
    env: { CW_TOKEN: api.token },
    sleep: async () => {},
    terminal: false,
    fetch: (async (url: string, init: RequestInit) => {
      const { pathname, search } = new URL(url);
      written.asked.push(pathname + search);
      return await api.app.request(pathname + search, init);
    }) as typeof fetch,
  };
  written.code = await run(args, io);
  return written;
}

test('shows the hours as a table with their total', async () => {
  const { code, out } = await counterweight('gpu-hours', '--by', 'job');
  expect([code, out]).toEqual([
    0,
    `from 2026-01-30T10:30:00.000Z to 2026-03-01T10:30:00.000Z
job                         name            GPU hours  hours  jobs  attempts  running
${id}  phantom fold 0  1.50       1.50   1     1         1
total                                       1.50       1.50   1     1         1
`,
  ]);
  const byActor = await counterweight(
    'gpu-hours',
    '--by',
    'actor',
    '--from',
    '2026-03-01T10:00:00Z',
  );
  expect(byActor.out).toMatch(/^actor +GPU hours .*\nadmin +0\.50 .*\ntotal +0\.50 /m);
});

test('with --json is what the service answers, of all pages together', async () => {
  const span = ['--from', '2026-03-01', '--to', '2026-03-02'];
  const { out, asked } = await counterweight('gpu-hours', '--by', 'target', ...span, '--json');
  const query = 'by=target&limit=500&from=2026-03-01&to=2026-03-02';
  expect(asked).toEqual([`/v1/usage?${query}`]);
  expect(JSON.parse(out)).toEqual(await must(api, 200, 'GET', asked[0]));
});

test('asks for page after page, and shows them as one', async () => {
  const sums = { gpuHours: 1, hours: 1, attempts: 1, jobs: 1, running: 0 };
  const span = { by: 'actor' as const, from: 'a', to: 'b', total: sums };
  const item = (name: string) => ({ key: name, name, ...sums });
  const pages: Usage[] = [
    { ...span, items: [item('ann')], nextCursor: 'next one' },
    { ...span, items: [item('bo')], nextCursor: null },
  ];
  const asked: string[] = [];
  const written: string[] = [];
  await run(['gpu-hours', '--by', 'actor'], {
    ...systemIo,
    out: (line) => written.push(line),
    env: {},
    fetch: (async (url: string) => {
      asked.push(new URL(url).searchParams.get('cursor') ?? 'first');
      return Response.json(pages[asked.length - 1]);
    }) as typeof fetch,
  });
  expect(asked).toEqual(['first', 'next one']);
  const whole: Usage = { ...pages[1], items: [item('ann'), item('bo')] };
  expect(written).toEqual([gpuHoursText(whole)]);
});

test.each([
  [[], 'required option'],
  [['--by', 'person'], 'Allowed choices are job, dataset, actor, target'],
])('with %j is a fault of the command line', async (args, words) => {
  const refused = await counterweight('gpu-hours', ...args);
  expect([refused.code, refused.said]).toEqual([2, expect.stringContaining(words)]);
});

test('launch says that a job waits, and shows a refusal at once with its numbers', async () => {
  const asked = ['launch', '--snapshot', api.snapshot, '--reason', 'x'];
  const waiting = await counterweight(...asked);
  expect([waiting.code, waiting.said]).toEqual([
    0,
    expect.stringMatching(/is created: it waits for GPU hours of its target: 1\.5 of 3 are used/),
  ]);
  api.moveClock(90 * 60_000);
  const refused = await counterweight(...asked);
  expect([refused.code, refused.said, refused.asked.length]).toEqual([
    3,
    expect.stringContaining('has used 3 GPU hours in the last 24 hours'),
    1,
  ]);
});
