// Stopping the demo: jobs are cancelled and have ended before the service goes, whatever happens.

import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../../trainer/client.ts';
import { endAll, stopped, stopRequest, unlessStopped } from '../../../trainer/demo/stopping.ts';

type Answers = { jobs: Record<string, string[]>; refuses?: string; silent?: boolean };

/** A service whose jobs move on by one state at each read; `done` is in order of time. */
function demoWith({ jobs, refuses, silent = false }: Answers) {
  const done: string[] = [];
  const said: string[] = [];
  const io = {
    say: (line: string) => said.push(line),
    sleep: async () => {},
    fetch: (async (url: string) => {
      if (silent) throw new TypeError('fetch failed');
      const { pathname } = new URL(url);
      if (pathname === '/v1/jobs') {
        const items = Object.entries(jobs).map(([id, [state]]) => ({ id, state }));
        return Response.json({ items });
      }
      const [, id, cancel] = /^\/v1\/jobs\/([^/]+)(\/cancel)?$/.exec(pathname) ?? [];
      if (cancel !== undefined) {
        done.push(`cancel ${id}`);
        if (id === refuses) {
          jobs[id].shift();
          return Response.json({ status: 409, detail: 'it has ended already' }, { status: 409 });
        }
      }
      const states = jobs[id];
      const state = states.length > 1 ? states.splice(0, 1)[0] : states[0];
      if (cancel === undefined) done.push(`${id} is ${state}`);
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
  const end = async (launching: Promise<string>[] = []) =>
    await endAll({ client, service, launching }, io);
  return { jobs, done, said, end };
}

describe('ending', () => {
  test('cancels what runs, also what others launched, and ends the service last', async () => {
    const { done, end } = demoWith({
      jobs: { a: ['succeeded'], b: ['running', 'cancelling', 'cancelled'] },
    });
    await end();
    expect(done).toEqual(['cancel b', 'b is cancelling', 'b is cancelled', 'service ended']);
  });

  test('waits for a launch that is on its way, and cancels that job too', async () => {
    const { jobs, done, end } = demoWith({ jobs: {} });
    let launched: (id: string) => void = () => {};
    const ending = end([
      new Promise((resolve) => {
        launched = resolve;
      }),
    ]);
    expect(done).toEqual([]);
    jobs.late = ['running', 'cancelled'];
    launched('late');
    await ending;
    expect(done).toEqual(['cancel late', 'late is cancelled', 'service ended']);
  });

  test('takes no offence at a job that ended in the meantime', async () => {
    const { done, said, end } = demoWith({ jobs: { a: ['running', 'succeeded'] }, refuses: 'a' });
    // The list says running; the refused cancel finds it ended.
    await end([Promise.reject(new Error('a launch was refused'))]);
    expect(done.at(-1)).toBe('service ended');
    expect(said).toEqual([]);
  });

  test('ends the service although no job can be asked, and says where processes are', async () => {
    const { done, said, end } = demoWith({ jobs: {}, silent: true });
    await end();
    expect(done).toEqual(['service ended']);
    expect(said.join('\n')).toMatch(/could not be cancelled.*\n.*\/demo\/service\/launches/);
  });

  test('gives up on a job that never ends, not on the other one', async () => {
    const { done, said, end } = demoWith({
      jobs: { a: ['running'], b: ['running', ...Array(20).fill('cancelling'), 'cancelled'] },
    });
    await end();
    expect(done).toContain('b is cancelled');
    expect(done.at(-1)).toBe('service ended');
    expect(said.join('\n')).toContain('job a does not end after 60 seconds');
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
