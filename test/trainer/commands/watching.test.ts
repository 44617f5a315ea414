// Following jobs: states, losses and validations as they come, a service that is away, gates.

import { describe, expect, test } from 'vitest';
import { gateFault } from '../../../api/contract/gates.ts';
import type { Job } from '../../../api/contract/jobs.ts';
import { run } from '../../../trainer/cli.ts';
import { type Client, createClient, type Failure } from '../../../trainer/client.ts';
import { gateOf } from '../../../trainer/commands/gate.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { followJobs, jobSentence } from '../../../trainer/commands/watch.ts';

const job = (id: string, changes: object = {}) =>
  ({
    id,
    state: 'running',
    reason: null,
    progress: { step: 0, steps: 20 },
    settings: { epochs: 2, drawsPerEpoch: 20, batchSize: 2 },
    verifiedDraws: { verified: 0, partial: 0, mismatch: 0 },
    summary: null,
    monitors: {},
    snapshots: [],
    attempts: [],
    ...changes,
  }) as unknown as Job;

/** A service whose jobs move on by one state at each read; null is no answer. */
function watching(states: Record<string, (Job | null)[]>, metrics: object[] = []) {
  const said: string[] = [];
  const out: string[] = [];
  const asked: string[] = [];
  let points = metrics;
  let now = 0;
  const io: Io = {
    ...systemIo,
    env: {},
    terminal: false,
    out: (line) => out.push(line),
    say: (line) => said.push(line),
    now: () => now,
    sleep: async (milliseconds) => {
      now += milliseconds;
    },
    fetch: (async (url: string) => {
      const { pathname, search } = new URL(url);
      asked.push(`${pathname}${search}`);
      const [, id, part] = /^\/v1\/jobs\/([^/]+)(\/metrics)?$/.exec(pathname) ?? [];
      if (part !== undefined) {
        const items = points;
        points = [];
        return Response.json({ items });
      }
      const left = states[id];
      if (left === undefined)
        return Response.json({ status: 404, detail: `no job ${id}` }, { status: 404 });
      const next = left.length > 1 ? left.shift() : left[0];
      if (next === null) throw new TypeError('fetch failed');
      return Response.json(next);
    }) as typeof fetch,
  };
  const client = createClient({ api: 'http://service', token: 'x', ...io });
  return { io, client, said, out, asked };
}

const point = (sequence: number, name: string, value: number, more: object = {}) => ({
  sequence,
  name,
  value,
  step: 10,
  group: null,
  class: null,
  ...more,
});

const follow = (io: Io, client: Client, ids: string[]) =>
  followJobs(
    io,
    client,
    ids.map((id) => ({ id, name: `arm ${id}` })),
  );

describe('following', () => {
  test('says states, progress with the newest loss, and validations over all cases', async () => {
    const half = { progress: { step: 10, steps: 20 } };
    const done = { state: 'succeeded', progress: { step: 20, steps: 20 } };
    const { io, client, said } = watching(
      { a: [job('a', { state: 'queued' }), job('a', half), job('a', done)] },
      [
        point(1, 'loss', 0.75),
        point(2, 'loss', 0.5),
        point(3, 'diceMean', 0.8125),
        point(4, 'diceMean', 0.1, { group: 'site=B' }),
      ],
    );
    const [ended] = await follow(io, client, ['a']);
    expect(ended.state).toBe('succeeded');
    expect(said).toEqual([
      'arm a: running',
      'arm a: validated after step 10, mean Dice 0.813',
      'arm a: 10 of 20 running, loss 0.500',
      'arm a: succeeded',
      'arm a: 20 of 20 succeeded, loss 0.500',
    ]);
  });

  test('says why a job waits, once, and that another attempt follows on one that failed', async () => {
    const waits = { state: 'queued', observation: { state: 'queued', detail: 'no GPU is free' } };
    const lost = { state: 'failed', reason: { code: 'infrastructure', detail: 'node7 went down' } };
    const at = (state: string, ...attempts: object[]) =>
      job('a', {
        state,
        target: 'cluster',
        attempts: attempts.map((one, k) => ({ attempt: k + 1, reason: null, ...one })),
      });
    const running = { state: 'running', observation: { state: 'running' } };
    const { io, client, said } = watching({
      a: [
        at('submitting', { state: 'submitting', observation: null }),
        at('queued', waits),
        at('queued', waits),
        at('created', lost, { state: 'created', observation: null }),
        at('running', lost, running),
        at('succeeded', lost, running),
      ],
    });
    await follow(io, client, ['a']);
    expect(said.filter((line) => /cluster|attempt/.test(line))).toEqual([
      'arm a: cluster: no GPU is free',
      'arm a: attempt 2 follows, the one before failed (infrastructure: node7 went down)',
    ]);
  });

  test('says why a job waits where it did so before it was followed', async () => {
    const observation = { state: 'unknown', detail: 'no credential in file /keys/one.' };
    const waits = job('a', {
      state: 'submitting',
      target: 'cluster',
      attempts: [{ attempt: 1, state: 'submitting', reason: null, observation }],
    });
    const runs = { ...waits, state: 'running' } as Job;
    const first = watching({ a: [waits, waits, job('a', { state: 'failed' })] });
    await follow(first.io, first.client, ['a']);
    expect(first.said[0]).toBe('arm a: cluster: no credential in file /keys/one.');
    expect(first.said.filter((line) => line.includes('credential'))).toHaveLength(1);
    const later = watching({ a: [runs, runs, job('a', { state: 'failed' })] });
    await follow(later.io, later.client, ['a']);
    expect(later.said.join()).not.toContain('credential');
    expect(jobSentence(waits)).toBe(
      'job a submitting: no credential in file /keys/one; epochs verified 0, partial 0, mismatch 0',
    );
    expect(jobSentence({ ...waits, state: 'failed' })).not.toContain('credential');
  });

  test('of two jobs goes on until both have ended, and asks no more for the first', async () => {
    const ended = job('a', { state: 'failed' });
    const { io, client, asked } = watching({
      a: [job('a'), ended],
      b: [job('b'), job('b'), job('b', { state: 'succeeded' })],
    });
    const states = (await follow(io, client, ['a', 'b'])).map(({ state }) => state);
    expect(states).toEqual(['failed', 'succeeded']);
    expect(asked.filter((path) => path === '/v1/jobs/a')).toHaveLength(2);
  });

  test('reads each metric once', async () => {
    const { io, client, asked } = watching(
      { a: [job('a'), job('a'), job('a'), job('a', { state: 'succeeded' })] },
      [point(41, 'loss', 1)],
    );
    await follow(io, client, ['a']);
    const after = asked.flatMap((path) => /after=(\d+)/.exec(path)?.[1] ?? []);
    expect(after).toEqual(['0', '41', '41']);
  });

  test('says it when draws are not the planned ones', async () => {
    const verifiedDraws = { verified: 0, partial: 0, mismatch: 1 };
    const states = [job('a'), job('a', { verifiedDraws }), job('a', { state: 'failed' })];
    const { io, client, said } = watching({ a: states });
    await follow(io, client, ['a']);
    expect(said).toContain("arm a: an epoch's draws are not the planned ones");
  });

  test('says once what a monitor found, before or while it is followed', async () => {
    const monitors = (drift: number, mismatch: number) => ({
      calibrationDrift: { action: 'note', findings: drift, sentence: 'volume is 1.6 times' },
      drawMismatch: { action: 'stop', findings: mismatch, sentence: 'draws 0 to 7' },
    });
    const { io, client, said } = watching({
      a: [
        job('a', { monitors: monitors(1, 0) }),
        job('a', { monitors: monitors(1, 0) }),
        job('a', { monitors: monitors(1, 1) }),
        job('a', { monitors: monitors(1, 1), state: 'failed' }),
      ],
    });
    await follow(io, client, ['a']);
    expect(said).toEqual([
      'arm a: monitor calibrationDrift (note): volume is 1.6 times',
      'arm a: monitor drawMismatch (stop): draws 0 to 7',
      'arm a: failed',
    ]);
  });

  test('waits for a service that is away, and says so once', async () => {
    const away = Array.from({ length: 12 }, () => null);
    const { io, client, said } = watching({
      a: [job('a'), ...away, job('a', { state: 'succeeded' })],
    });
    const [ended] = await follow(io, client, ['a']);
    expect(ended.state).toBe('succeeded');
    expect(said).toEqual(['no word from http://service; waiting for it', 'arm a: succeeded']);
  });

  test('gives up on a service that stays away, and says how to go on', async () => {
    const { io, client } = watching({ a: [job('a'), null] });
    await expect(follow(io, client, ['a'])).rejects.toThrow('counterweight watch a');
  });

  test('ends when the time is over, which passes while a service is away too', async () => {
    const { io, client, asked } = watching({ a: [job('a'), null] });
    const asks = [{ id: 'a', name: 'arm a' }];
    const [last] = await followJobs(io, client, asks, { timeoutSeconds: 5 });
    expect([last.state, asked.length]).toEqual(['running', 6]);
  });

  test('of a job that does not exist is refused', async () => {
    const { io, client } = watching({});
    const error = (await follow(io, client, ['a']).catch((one) => one)) as Failure;
    expect([error.exitCode, error.message]).toEqual([3, 'no job a']);
  });
});

describe('watch of several jobs', () => {
  const both = { a: [job('a', { state: 'succeeded' })], b: [job('b', { state: 'failed' })] };

  test('follows them all, answers a list and exits by the worst end', async () => {
    const { io, out, said } = watching(both);
    expect(await run(['watch', 'a', 'b', '--json'], io)).toBe(1);
    expect(JSON.parse(out.join()).map(({ id }: Job) => id)).toEqual(['a', 'b']);
    expect(said.filter((line) => line.includes('epochs verified'))).toHaveLength(2);
  });

  test('is a fault of the command line without one', async () => {
    const { io } = watching(both);
    expect(await run(['watch'], io)).toBe(2);
  });
});

describe('a gate', () => {
  const dice = { organ: 0.9, lesion: null, mean: 0.8 };
  const done = job('a', { state: 'succeeded', summary: { dice } });

  test.each([
    ['dice.mean=0.8', null],
    ['dice.organ=0.95', 'gate not met: dice.organ is 0.9000, under 0.95'],
    ['dice.lesion=0.1', 'gate not met: dice.lesion could not be measured, no case has the class'],
    [
      'dice.liver=0',
      'gate not met: the job has no figure dice.liver; it has dice.organ, dice.lesion, dice.mean',
    ],
  ])('%s says %s', (text, fault) => {
    expect(gateFault(done, gateOf(text, [])[0])).toBe(fault);
  });

  test.each([
    ['dice.mean=0.8', 0],
    ['dice.mean=0.81', 4],
  ])('%s lets watch exit with %i', async (text, exitCode) => {
    const { io, out } = watching({ a: [done] });
    expect(await run(['watch', 'a', '--gate', text, '--json'], io)).toBe(exitCode);
    expect(out).toEqual([JSON.stringify(done)]);
  });

  test.each(['dice.mean', 'dice.mean=', '=1', 'dice.mean=x'])('"%s" is no gate', async (text) => {
    const { io, said } = watching({ a: [done] });
    expect(await run(['watch', 'a', '--gate', text], io)).toBe(2);
    expect(said.join('\n')).toContain('dice.mean=0.8');
  });

  test('does not hide that the job failed', async () => {
    const { io } = watching({ a: [job('a', { state: 'failed' })] });
    expect(await run(['watch', 'a', '--gate', 'dice.mean=0'], io)).toBe(1);
  });
});
