// What is asked of the fake API server to observe all launches, and what its refusals mean.

import { describe, expect, test } from 'vitest';
import { statusAnswer } from '../../support/fake-kubernetes.ts';
import { endPod } from '../../support/fake-kubernetes-pods.ts';
import {
  job,
  launched,
  launchKey,
  on,
  pod,
  prepared,
  useCluster,
  withFields,
} from '../../support/kubernetes-launches.ts';
import { specOf } from '../../support/launch-specs.ts';

useCluster();

describe('polling', () => {
  test('is one list of Jobs and one of pods, whatever their number', async () => {
    const { launcher, handle } = await launched();
    on.cluster.asked = [];
    const others = Array.from({ length: 50 }, (_, k) => ({ launchKey: `cw-other-${k}` }));
    const told = await launcher.poll([handle, ...others]);
    expect(on.cluster.asked).toHaveLength(2);
    expect(told.get(launchKey)).toEqual({ state: 'running' });
    expect(told.get('cw-other-7')).toEqual({ state: 'notFound' });
  });

  test('reads all pages, and from the first again when they have expired', async () => {
    const keys = [1, 2, 3].map((attempt) => `cw-a-${attempt}`);
    const { launcher, request } = prepared();
    for (const key of keys) {
      const target = withFields();
      await launcher.submit(launcher.prepare(specOf(target, { launchKey: key })), 'x');
    }
    Object.assign(on.cluster, { pageSize: 1, expiredLists: 1, asked: [] });
    const told = await launcher.poll(keys.map((key) => ({ launchKey: key })));
    expect(keys.map((key) => told.get(key)?.state)).toEqual(['running', 'running', 'running']);
    expect(on.cluster.asked).toHaveLength(3 + 2 + 3);
    on.cluster.expiredLists = 99;
    await expect(launcher.poll([request])).rejects.toMatchObject({ kind: 'unavailable' });
  });

  test('another Job of the same name is not the one that was launched', async () => {
    const { launcher, handle } = await launched();
    on.cluster.pods.clear();
    const told = await launcher.poll([{ ...handle, uid: 'uid-of-before' }]);
    expect(told.get(launchKey)).toEqual({ state: 'notFound' });
  });

  test('says the exit code and the last lines of a trainer that ended', async () => {
    const { told } = await launched();
    endPod(on.cluster, pod(), { exitCode: 7 });
    expect(await told()).toEqual({
      state: 'exited',
      exit: { code: 7, signal: null },
      output: 'last words\n',
    });
  });

  test('a trainer that lost its node is not started again by the cluster', async () => {
    const { told } = await launched();
    const disruption = { reason: 'PreemptionByScheduler', message: 'made room for high-priority' };
    pod().status.conditions.push({ type: 'DisruptionTarget', status: 'True', ...disruption });
    endPod(on.cluster, pod(), { exitCode: 143 });
    expect(await told()).toMatchObject({ state: 'failed', reason: 'infrastructure' });
    expect(on.cluster.pods.size).toBe(1);
    on.cluster.pods.clear();
    expect(await told()).toMatchObject({
      state: 'failed',
      reason: 'infrastructure',
      detail: expect.stringContaining('DisruptionTarget'),
    });
  });

  test('why a pod is refused is asked once, and only when one has been missing for a while', async () => {
    const { told } = await launched();
    on.cluster.pods.clear();
    on.cluster.events = [
      {
        involvedObject: { kind: 'Job', name: launchKey },
        message: 'violates PodSecurity "restricted"',
        metadata: {},
      },
    ];
    on.cluster.asked = [];
    expect(await told()).toEqual({
      state: 'queued',
      detail: 'the cluster has not made its pod yet',
    });
    expect(on.cluster.asked).toHaveLength(2);
    job().metadata.creationTimestamp = new Date(Date.now() - 60_000).toISOString();
    expect(await told()).toEqual({
      state: 'queued',
      detail: 'the cluster refuses its pod: violates PodSecurity "restricted"',
    });
    on.cluster.rights.delete('list /events');
    expect(await told()).toMatchObject({ state: 'queued' });
  });

  test.each([
    [
      'an expired token',
      () => on.cluster.instead.set('GET ', statusAnswer(401, 'Unauthorized', 'no')),
      'launcher-failed',
      'wrong or has expired',
    ],
    [
      'a missing right',
      () => on.cluster.rights.delete('list /pods'),
      'launcher-failed',
      'cannot list resource "pods"',
    ],
    [
      'too many requests',
      () =>
        on.cluster.instead.set('GET ', {
          status: 429,
          body: 'slow down',
          headers: { 'retry-after': '7' },
        }),
      'unavailable',
      'asks to wait 7 s',
    ],
    [
      'a cluster in trouble',
      () =>
        on.cluster.instead.set('GET ', statusAnswer(500, 'InternalError', 'etcd: leader changed')),
      'unavailable',
      'leader changed',
    ],
    [
      'a redirect',
      () =>
        on.cluster.instead.set('GET ', {
          status: 302,
          body: '',
          headers: { location: 'https://elsewhere' },
        }),
      'launcher-failed',
      'redirect',
    ],
    ['no answer', () => on.cluster.instead.set('GET ', 'hang up'), 'unavailable', 'gave no answer'],
  ])('%s leaves the jobs unknown, with words', async (_, cause, kind, words) => {
    const { launcher, handle } = await launched();
    cause();
    await expect(launcher.poll([handle])).rejects.toMatchObject({
      kind,
      detail: expect.stringContaining(words),
    });
  });
});
