// The suite of all launchers, with pods of the fake API server that are processes of this machine.

import { describe, expect, test } from 'vitest';
import { on, prepared, useCluster } from '../../support/kubernetes-launches.ts';
import { type Engine, launcherCases, observed, type Started } from '../contract.ts';

useCluster();

describe('as every launcher, with pods that are processes', () => {
  let launches = 0;
  const reopen = async () => prepared().launcher;
  const engine: Engine = {
    start: async (script): Promise<Started> => {
      const key = `cw-process-${++launches}`;
      on.cluster.scripts.set(key, script);
      const { launcher, request } = prepared({}, { launchKey: key });
      return { launcher, launchKey: key, handle: await launcher.submit(request, 'cw_secret') };
    },
    reopen,
    again: async ({ launchKey: key }) => {
      const { launcher, request } = prepared({}, { launchKey: key });
      return await launcher.submit(request, 'cw_other');
    },
  };
  // A cancelled Job is deleted with its record, and a container has no signal but 128 + its number.
  const others = [
    'says that a trainer was killed',
    'ends a running trainer on cancel, and one that will not hear after the grace',
  ];
  const cases = Object.keys(launcherCases);
  test.each(cases.filter((name) => !others.includes(name)))('%s', (name) =>
    launcherCases[name](engine),
  );

  test('the cases that differ are there', () => {
    expect(cases).toEqual(expect.arrayContaining(others));
  });

  test.each([
    ['hears', ''],
    ['does not hear', "process.on('SIGTERM', () => {});"],
  ])('a trainer that %s SIGTERM is stopped, and is gone only when it has ended', async (_, how) => {
    on.cluster.graceMs = 200;
    const { launcher, handle } = await engine.start(`${how} setInterval(() => {}, 1000);`);
    await observed(launcher, handle, (seen) => seen?.state === 'running');
    expect(await launcher.cancel(handle, 1)).toBe('accepted');
    await observed(launcher, handle, (seen) => seen?.state === 'notFound');
    // Those of other cases may still be ending.
    const own = [...on.cluster.processes.keys()].filter((pod) => pod.startsWith(handle.launchKey));
    expect(own).toEqual([]);
    expect(await launcher.cancel(handle, 1)).toBe('gone');
  });

  test('a trainer that was killed is told from one that failed', async () => {
    const { launcher, handle } = await engine.start("process.kill(process.pid, 'SIGKILL')");
    const seen = await observed(launcher, handle, (one) => one?.state === 'exited');
    expect(seen?.exit).toEqual({ code: 137, signal: null });
  });

  test('a trainer gets its variables as they were written, and its token', async () => {
    const key = 'cw-variables-1';
    on.cluster.scripts.set(
      key,
      "process.exit(process.env.PATTERN === '$(CW_JOB)$$' && process.env.CW_TOKEN === 'cw_secret' ? 0 : 9)",
    );
    const { launcher, request } = prepared(
      { environment: { PATTERN: '$(CW_JOB)$$' } },
      { launchKey: key },
    );
    const handle = await launcher.submit(request, 'cw_secret');
    const seen = await observed(launcher, handle, (one) => one?.state === 'exited');
    expect(seen?.exit?.code).toBe(0);
  });
});
