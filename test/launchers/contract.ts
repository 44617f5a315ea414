// What every launcher owes, as one suite: `start` launches a script of a few lines in the engine.

import { expect } from 'vitest';
import type { Handle, Launcher, Observation } from '../../api/launchers/launcher.ts';

export type Started = { launcher: Launcher; launchKey: string; handle: Handle };

export type Engine = {
  /** Launches JavaScript as the trainer under a fresh key. */
  start: (script: string) => Promise<Started>;
  /** Another launcher object on the same engine, as after a restart of the service. */
  reopen: () => Promise<Launcher>;
  /** Submits the same key again. */
  again: (started: Started) => Promise<unknown>;
};

const over = (observation: Observation | undefined) =>
  observation !== undefined && ['exited', 'failed'].includes(observation.state);

/** Polls until a condition holds; throws after a bounded number of tries. */
export async function observed(
  launcher: Launcher,
  handle: Handle,
  met: (observation: Observation | undefined) => boolean,
): Promise<Observation | undefined> {
  for (let tries = 0; tries < 400; tries++) {
    const found = (await launcher.poll([handle])).get(handle.launchKey);
    if (met(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`${handle.launchKey} never got there`);
}

/** Every case that a launcher must pass, by its sentence. */
export const launcherCases: Record<string, (engine: Engine) => Promise<void>> = {
  'says that a trainer ended well, and with which code it ended otherwise': async (engine) => {
    for (const code of [0, 7]) {
      const { launcher, handle } = await engine.start(`process.exit(${code})`);
      const found = await observed(launcher, handle, over);
      expect(found?.exit).toEqual({ code, signal: null });
    }
  },
  'says that a trainer was killed': async (engine) => {
    const { launcher, handle } = await engine.start("process.kill(process.pid, 'SIGKILL')");
    expect((await observed(launcher, handle, over))?.exit?.signal).toBe('SIGKILL');
  },
  'ends a running trainer on cancel, and one that will not hear after the grace': async (
    engine,
  ) => {
    const wait = 'setInterval(() => {}, 1000);';
    for (const script of [wait, `process.on('SIGTERM', () => {}); ${wait}`]) {
      const { launcher, handle } = await engine.start(script);
      await observed(launcher, handle, (found) => found?.state === 'running');
      expect(await launcher.cancel(handle, 1)).toBe('accepted');
      expect(over(await observed(launcher, handle, over))).toBe(true);
      expect(await launcher.cancel(handle, 1)).toBe('alreadyDone');
    }
  },
  'refuses to start one key twice': async (engine) => {
    const started = await engine.start('setTimeout(() => {}, 200)');
    await expect(engine.again(started)).rejects.toMatchObject({ kind: 'conflict' });
    await observed(started.launcher, started.handle, over);
  },
  'is found again, with its end, by a service that was restarted': async (engine) => {
    const { launchKey } = await engine.start('setTimeout(() => process.exit(3), 300)');
    const restarted = await engine.reopen();
    const handle = (await restarted.find(launchKey)) as Handle;
    expect((await observed(restarted, handle, over))?.exit).toEqual({ code: 3, signal: null });
  },
  'knows nothing of a key that was never launched': async (engine) => {
    const { launcher } = await engine.start('');
    expect(await launcher.find('cw-never-1')).toBeNull();
    const handle = { launchKey: 'cw-never-1' };
    expect((await launcher.poll([handle])).get('cw-never-1')).toMatchObject({ state: 'notFound' });
  },
};
