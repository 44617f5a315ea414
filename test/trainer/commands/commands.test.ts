// Whole command lines against a made-up service: exit codes, outputs, and what a refusal says.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import type { Io } from '../../../trainer/commands/io.ts';
import { writePhantomDataset } from '../../../trainer/phantom.ts';

type Answer = { status?: number; body?: unknown; headers?: Record<string, string> };

/** Answers each request from the list of its `METHOD /path`, the last one again and again. */
function service(table: Record<string, Answer[]>) {
  const out: string[] = [];
  const said: string[] = [];
  const asked: string[] = [];
  const pauses: number[] = [];
  const io: Io = {
    out: (line) => out.push(line),
    say: (line) => said.push(line),
    env: { CW_TOKEN: 'cw_test' },
    fetch: (async (url: string, init: RequestInit) => {
      const key = `${init.method} ${new URL(url).pathname}`;
      asked.push(key);
      const answers = table[key] ?? [{ status: 404, body: { status: 404, detail: `no ${key}` } }];
      const {
        status = 200,
        body = {},
        headers = {},
      } = answers.length > 1 ? (answers.shift() as Answer) : answers[0];
      return new Response(JSON.stringify(body), { status, headers });
    }) as typeof fetch,
    now: () => pauses.reduce((sum, pause) => sum + pause, 0),
    sleep: async (milliseconds) => {
      pauses.push(milliseconds);
    },
    terminal: false,
    exitWith: () => {},
  };
  return { io, out, said, asked, pauses };
}

const folder = mkdtempSync(join(tmpdir(), 'counterweight-commands-'));
function file(name: string, value: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(value));
  return path;
}

const check = ['rules', 'check', file('rules.json', {}), '--dataset', 'liver'];
const checkPath = 'POST /v1/datasets/liver/rule-sets/check';

describe('exit codes', () => {
  test('0 when the service agrees', async () => {
    const changes = ['A ramp: in 2 steps.'];
    const { io, said } = service({ [checkPath]: [{ body: { ok: true, changes } }] });
    expect(await run(check, io)).toBe(0);
    expect(said).toEqual(['the rules are sound', ...changes]);
  });

  test('2 for a command that is not there, with the nearest one', async () => {
    const { io, said } = service({});
    expect(await run(['scna', folder], io)).toBe(2);
    expect(said.join('\n')).toContain('Did you mean scan?');
  });

  test('2 for a file that cannot be read, naming it', async () => {
    const { io, said } = service({});
    const missing = join(folder, 'nothing.json');
    expect(await run(['rules', 'check', missing, '--dataset', 'liver'], io)).toBe(2);
    expect(said[0]).toContain(missing);
  });

  test('3 for a refusal, with pointer and character range of every fault', async () => {
    const errors = [
      { pointer: '/rules/exclude/0/when', detail: 'bool is needed', range: { from: 0, to: 12 } },
    ];
    const problem = { status: 422, title: 'x', detail: 'The rules are not valid', errors };
    const { io, said } = service({ [checkPath]: [{ status: 422, body: problem }] });
    expect(await run(check, io)).toBe(3);
    expect(said).toEqual([
      'The rules are not valid\n  /rules/exclude/0/when (characters 0 to 12): bool is needed',
    ]);
  });

  test('1 when no service answers, saying how to start one', async () => {
    const { io, said } = service({});
    const refused = Object.assign(new TypeError('fetch failed'), {
      cause: { code: 'ECONNREFUSED' },
    });
    const dead = { ...io, fetch: (async () => Promise.reject(refused)) as typeof fetch };
    expect(await run(check, dead)).toBe(1);
    expect(said[0]).toMatch(/ECONNREFUSED.*npm start/);
  });
});

const job = {
  id: 'j1',
  state: 'running',
  reason: null,
  progress: { step: 2, steps: 4 },
  settings: { epochs: 2, drawsPerEpoch: 4, batchSize: 2 },
  verifiedDraws: { verified: 1, partial: 0, mismatch: 0 },
  monitors: {},
  snapshots: [],
  attempts: [],
  summary: null,
};

describe('watch', () => {
  const path = 'GET /v1/jobs/j1';
  const metrics = { 'GET /v1/jobs/j1/metrics': [{ body: { items: [] } }] };

  test('stays until the job has ended and answers only JSON on stdout', async () => {
    const ended = { ...job, state: 'succeeded' };
    const states = [{ body: job }, { body: job }, { body: ended }];
    const { io, out, asked } = service({ ...metrics, [path]: states });
    expect(await run(['watch', 'j1', '--json'], io)).toBe(0);
    expect(asked.filter((one) => one === path)).toHaveLength(3);
    expect(out.map((line) => JSON.parse(line))).toEqual([ended]);
  });

  test('exits with 1 and the reason when the job failed', async () => {
    const reason = { code: 'external', detail: 'ended by signal SIGKILL' };
    const { io, said } = service({ [path]: [{ body: { ...job, state: 'failed', reason } }] });
    expect(await run(['watch', 'j1'], io)).toBe(1);
    expect(said.at(-1)).toContain('job j1 failed (external: ended by signal SIGKILL)');
  });

  test('exits with 5 when the time is over', async () => {
    const { io } = service({ ...metrics, [path]: [{ body: job }] });
    expect(await run(['watch', 'j1', '--timeout', '3'], io)).toBe(5);
  });

  test('asks again when the service is away for a moment, as long as it was told to', async () => {
    const away = {
      status: 503,
      headers: { 'retry-after': '2' },
      body: { status: 503, detail: 'away' },
    };
    const { io, pauses } = service({ [path]: [away, { body: { ...job, state: 'succeeded' } }] });
    expect(await run(['watch', 'j1'], io)).toBe(0);
    expect(pauses).toEqual([2000]);
  });
});

test('a POST is not sent twice by itself', async () => {
  const away = { status: 503, body: { status: 503, detail: 'away' } };
  const { io, asked } = service({ [checkPath]: [away] });
  expect(await run(check, io)).toBe(1);
  expect(asked).toHaveLength(1);
});

test('launch sends settings with their types and one idempotency key', async () => {
  const { io, out } = service({ 'POST /v1/jobs': [{ status: 201, body: job }] });
  let sent: RequestInit = {};
  const watched = {
    ...io,
    fetch: ((url: string, init: RequestInit) => {
      sent = init;
      return io.fetch(url, init);
    }) as typeof fetch,
  };
  const args = ['launch', '--snapshot', 'sha256:x', '--seed', '7', '--reason', 'try'];
  expect(
    await run([...args, '--set', 'epochs=3', '--set', 'backend=wasm', '--json'], watched),
  ).toBe(0);
  expect(JSON.parse(sent.body as string)).toEqual({
    snapshot: 'sha256:x',
    target: 'local',
    seed: 7,
    reason: 'try',
    settings: { epochs: 3, backend: 'wasm' },
  });
  expect(new Headers(sent.headers).get('idempotency-key')).toMatch(/^[0-9a-f-]{36}$/);
  expect(JSON.parse(out[0])).toEqual(job);
});

test.each([
  ['unknown', 'no credential in file /keys/one.', 'submitting: no credential in file /keys/one'],
  ['queued', 'no GPU is free', 'submitting: no GPU is free'],
  ['waiting', 'waits for GPU hours', 'submitting: it waits for GPU hours'],
])('launch says what was heard of a job that is %s', async (state, detail, words) => {
  const attempts = [{ attempt: 1, observation: { state, detail } }];
  const body = { ...job, state: 'submitting', attempts };
  const { io, said } = service({ 'POST /v1/jobs': [{ status: 201, body }] });
  expect(await run(['launch', '--snapshot', 'x', '--reason', 'try'], io)).toBe(0);
  expect(said).toEqual([`job j1 is ${words}`]);
});

test('scan writes a line per case, names the broken one and exits with 1', async () => {
  const dir = await writePhantomDataset(mkdtempSync(join(tmpdir(), 'counterweight-cli-')), {
    cases: 4,
  });
  writeFileSync(join(dir, 'labelsTr/phantom_002.nii.gz'), 'broken');
  const { io, out, said } = service({});
  expect(await run(['scan', dir], io)).toBe(1);
  expect(out.map((line) => JSON.parse(line).id)).toEqual([
    'phantom_000',
    'phantom_001',
    'phantom_003',
  ]);
  expect(said.join('\n')).toMatch(/refused: phantom_002: .*not a NIfTI file/);
});
