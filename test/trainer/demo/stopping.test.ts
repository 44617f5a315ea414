// Stopping the demo: jobs are cancelled and have ended before the service goes, whatever happens.

import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../../trainer/client.ts';
import { endAll, stopped, stopRequest, unlessStopped } from '../../../trainer/demo/stopping.ts';

/** A service whose jobs take some reads to end once cancelled; `done` is in order of time. */
function demoWith(reads: Record<string, string[]>) {
  const done: string[] = [];
  const said: string[] = [];
  const io = {
    say: (line: string) => said.push(line),
    sleep: async () => {},
    fetch: (async (url: string, { method }: RequestInit) => {
      const [, id, cancel] = /\/v1\/jobs\/([^/]+)(\/cancel)?$/.exec(new URL(url).pathname) ?? [];
      if (cancel !== undefined) {
        done.push(`cancel ${id}`);
        return Response.json({ id, state: 'cancelling' });
      }
      const states = reads[id];
      if (states === undefined) throw new TypeError('fetch failed');
      const state = states.length > 1 ? states.shift() : states[0];
      done.push(`${method} ${id} ${state}`);
      return Response.json({ id, state });
    }) as typeof fetch,
  };
  const client = createClient({ api: 'http://service', token: 'x', ...io });
  const service = {
    url: 'http://service',
    token: 'x',
    dataDir: '/demo/service',
    pid: 1,
    stop: async () => {
      done.push('service ended');
    },
  };
  const end = async (jobs: Promise<string>[]) => await endAll({ client, service, jobs }, io);
  return { done, said, end };
}

describe('ending', () => {
  test('cancels what runs, leaves what has ended, and ends the service last', async () => {
    const { done, end } = demoWith({
      a: ['succeeded'],
      b: ['running', 'cancelling', 'cancelled'],
    });
    await end([Promise.resolve('a'), Promise.resolve('b')]);
    expect(done).toEqual([
      'GET a succeeded',
      'GET b running',
      'cancel b',
      'GET b cancelling',
      'GET b cancelled',
      'service ended',
    ]);
  });

  test('waits for a launch that is on its way, and cancels that job too', async () => {
    const { done, end } = demoWith({ a: ['running', 'cancelled'] });
    let launched: (id: string) => void = () => {};
    const ending = end([
      new Promise((resolve) => {
        launched = resolve;
      }),
    ]);
    expect(done).toEqual([]);
    launched('a');
    await ending;
    expect(done).toContain('cancel a');
  });

  test('ends the service although a launch failed or a job cannot be asked', async () => {
    const { done, said, end } = demoWith({ b: ['running', 'cancelled'] });
    await end([
      Promise.reject(new Error('refused')),
      Promise.resolve('gone'),
      Promise.resolve('b'),
    ]);
    expect(done.slice(-2)).toEqual(['GET b cancelled', 'service ended']);
    expect(said.join('\n')).toMatch(/job gone could not be cancelled.*\n.*\/demo\/service/);
  });

  test('gives up on a job that never ends, and says where its process is named', async () => {
    const { done, said, end } = demoWith({ a: ['running'] });
    await end([Promise.resolve('a')]);
    expect(done.at(-1)).toBe('service ended');
    expect(said.join('\n')).toContain('still is running');
  });
});

describe('a request to stop', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])(
    'by %s ends the waiting, not the work',
    async (signal) => {
      const source = new EventEmitter();
      const stop = stopRequest(source as unknown as NodeJS.Process);
      const work = unlessStopped(stop, new Promise(() => {}));
      source.emit(signal, signal);
      source.emit(signal, signal);
      expect(await work).toBe(stopped);
      stop.forget();
      expect(source.listenerCount(signal)).toBe(0);
    },
  );

  test('that does not come leaves result and failure as they are', async () => {
    const stop = stopRequest(new EventEmitter() as unknown as NodeJS.Process);
    expect(await unlessStopped(stop, Promise.resolve(7))).toBe(7);
    await expect(unlessStopped(stop, Promise.reject(new Error('x')))).rejects.toThrow('x');
  });
});
