// An engine from memory whose every word a test decides: what it observes, and when it throws.

import type { Handle, Launcher, Observation } from '../../api/launchers/launcher.ts';

export type FakeLaunch = { token: string; observation: Observation; cancelled: number[] };

export type FakeLauncher = Omit<Launcher, 'pollSeconds'> & {
  /** 0: every tick asks it. */
  pollSeconds: number;
  launches: Map<string, FakeLaunch>;
  /** What the next calls throw, by function; `once` is forgotten after it was thrown. */
  trouble: Partial<Record<'find' | 'submit' | 'poll' | 'cancel', Error>>;
  /** Runs while the engine is being asked: what happens in between. */
  during: Partial<Record<'find' | 'submit' | 'poll', () => Promise<void>>>;
  /** The engine launches, then its answer is lost. */
  loseAnswer: boolean;
  /** Counts of calls. */
  calls: Record<'find' | 'submit' | 'poll' | 'cancel' | 'cleanup', number>;
  observe: (launchKey: string, observation: Observation) => void;
};

export function createFakeLauncher(): FakeLauncher {
  const launches = new Map<string, FakeLaunch>();
  const calls = { find: 0, submit: 0, poll: 0, cancel: 0, cleanup: 0 };
  const called = async (name: 'find' | 'submit' | 'poll' | 'cancel') => {
    calls[name] += 1;
    if (name !== 'cancel') await fake.during[name]?.();
    const error = fake.trouble[name];
    if (error !== undefined) throw error;
  };
  const fake: FakeLauncher = {
    engine: 'local',
    pollSeconds: 0,
    launches,
    trouble: {},
    during: {},
    loseAnswer: false,
    calls,
    observe: (launchKey, observation) => {
      const launch = launches.get(launchKey);
      if (launch === undefined) throw new Error(`${launchKey} was never launched`);
      launch.observation = observation;
    },
    prepare: ({ launchKey, api, jobId, dataPath, resources }) => ({
      launchKey,
      environment: { CW_API: api, CW_JOB: jobId, CW_DATA: dataPath },
      resources,
    }),
    check: async () => [],
    submit: async ({ launchKey }, token) => {
      await called('submit');
      if (launches.has(launchKey)) throw new Error(`${launchKey} was launched twice`);
      launches.set(launchKey, { token, observation: { state: 'running' }, cancelled: [] });
      if (fake.loseAnswer) throw new Error('the connection was lost');
      return { launchKey };
    },
    find: async (launchKey) => {
      await called('find');
      return launches.has(launchKey) ? { launchKey } : null;
    },
    poll: async (handles: Handle[]) => {
      await called('poll');
      return new Map(
        handles.map(({ launchKey }): [string, Observation] => [
          launchKey,
          launches.get(launchKey)?.observation ?? { state: 'notFound' },
        ]),
      );
    },
    cancel: async ({ launchKey }, graceSeconds) => {
      await called('cancel');
      launches.get(launchKey)?.cancelled.push(graceSeconds);
      return launches.has(launchKey) ? 'accepted' : 'gone';
    },
    cleanup: async () => {
      calls.cleanup += 1;
    },
  };
  return fake;
}
