// Submitting and finding on the fake API server: every half launch is undone, none is doubled.

import { describe, expect, test } from 'vitest';
import { statusAnswer } from '../../support/fake-kubernetes.ts';
import {
  job,
  jobPath,
  launched,
  launchKey,
  on,
  pod,
  prepared,
  secretsPath,
  useCluster,
} from '../../support/kubernetes-launches.ts';

useCluster();

describe('submitting', () => {
  test('a key twice is a conflict, and the first trainer keeps its token', async () => {
    const { launcher, request } = await launched();
    await expect(launcher.submit(request, 'two')).rejects.toMatchObject({ kind: 'conflict' });
    expect(on.cluster.secrets.get(launchKey).stringData).toEqual({ CW_TOKEN: 'cw_secret' });
    expect(on.cluster.pods.size).toBe(1);
  });

  test('without the right to make Secrets leaves no Job behind, and says which right', async () => {
    on.cluster.rights.delete('create /secrets');
    const { launcher, request } = prepared();
    await expect(launcher.submit(request, 'cw_secret')).rejects.toMatchObject({
      kind: 'unprocessable',
      detail: expect.stringMatching(/may not create Secrets \(403\).*cannot create resource/),
    });
    expect([on.cluster.jobs.size, on.cluster.pods.size]).toEqual([0, 0]);
  });

  test('over a quota is asked again, as it may have room later', async () => {
    const { launcher, request } = prepared();
    const words = 'jobs.batch "x" is forbidden: exceeded quota: team, limited: count/jobs.batch=5';
    on.cluster.instead.set('POST /apis/batch', statusAnswer(403, 'Forbidden', words));
    await expect(launcher.submit(request, 'x')).rejects.toMatchObject({
      kind: 'unavailable',
      detail: expect.stringContaining('exceeded quota: team'),
    });
  });

  test.each([
    ['a namespace that is not there', { namespace: 'absent' }, 'has no namespace "absent"'],
    [
      'what the cluster finds wrong',
      { tolerations: [{ operator: 'Exists', value: 'x' }] },
      'takes no value',
    ],
  ])('%s is refused for good, in words', async (_, fields, words) => {
    const { launcher, request } = prepared(fields);
    await expect(launcher.submit(request, 'x')).rejects.toMatchObject({
      kind: 'unprocessable',
      detail: expect.stringContaining(words),
    });
    expect(on.cluster.jobs.size).toBe(0);
  });

  test('a Secret that a half launch left is replaced, never adopted', async () => {
    on.cluster.secrets.set(launchKey, {
      metadata: { name: launchKey },
      stringData: { CW_TOKEN: 'old' },
    });
    await launched();
    expect(on.cluster.secrets.get(launchKey).stringData).toEqual({ CW_TOKEN: 'cw_secret' });
  });

  test('a cluster that repeats the token is not repeated', async () => {
    const { launcher, request } = prepared();
    on.cluster.instead.set(
      `POST ${secretsPath}`,
      statusAnswer(422, 'Invalid', 'bad value cw_secret'),
    );
    const refused = await launcher.submit(request, 'cw_secret').catch((error) => error);
    expect(refused.detail).toContain('bad value ***');
  });
});

describe('finding, after a crash', () => {
  test('a whole launch is adopted, and nothing is nothing', async () => {
    const { launcher, handle } = await launched();
    expect(await launcher.find(launchKey)).toEqual(handle);
    expect(await launcher.find('cw-never-1')).toBeNull();
  });

  test.each([
    ['before its Secret', `POST ${secretsPath}`],
    ['before its mark', `PATCH ${jobPath}`],
  ])('a launch that was cut short %s is undone, and made anew with a new token', async (_, at) => {
    const { launcher, request } = prepared();
    on.cluster.instead.set(at, 'hang up');
    await expect(launcher.submit(request, 'old')).rejects.toMatchObject({ kind: 'unavailable' });
    on.cluster.instead.clear();
    expect(on.cluster.jobs.size).toBe(1);
    const ran = pod().status.phase === 'Running';
    const found = await launcher.find(launchKey).catch((error) => error);
    if (ran) {
      // The old trainer has its grace; until it is gone, no second one is started.
      expect(found).toMatchObject({
        kind: 'unavailable',
        detail: expect.stringContaining('yet to stop'),
      });
      on.cluster.pods.clear();
      expect(await launcher.find(launchKey)).toBeNull();
    } else {
      expect(found).toBeNull();
    }
    await launcher.submit(request, 'new');
    expect([...on.cluster.secrets.values()].map(({ stringData }) => stringData.CW_TOKEN)).toEqual([
      'new',
    ]);
    expect(await launcher.find(launchKey)).toMatchObject({ launchKey });
  });

  test('a Job of that name that is not ours is a conflict, and stays', async () => {
    const { launcher } = await launched();
    job().metadata.labels = { app: 'other' };
    await expect(launcher.find(launchKey)).rejects.toMatchObject({
      kind: 'conflict',
      detail: expect.stringContaining('none of this service'),
    });
    expect(on.cluster.jobs.size).toBe(1);
  });

  test('a Job that is being deleted is neither adopted nor doubled', async () => {
    const { launcher } = await launched();
    job().metadata.deletionTimestamp = on.cluster.now();
    await expect(launcher.find(launchKey)).rejects.toMatchObject({
      kind: 'unavailable',
      detail: expect.stringContaining('still being deleted'),
    });
  });

  test('another server at the address is no "not there"', async () => {
    const { launcher } = prepared();
    on.cluster.instead.set('GET ', { status: 404, body: '<html>nginx</html>' });
    await expect(launcher.find(launchKey)).rejects.toMatchObject({
      kind: 'launcher-failed',
      detail: expect.stringContaining('no API of Kubernetes'),
    });
  });
});
