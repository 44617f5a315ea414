// The check of a Kubernetes target: rights, dry runs, queue, and what it does not know.

import { describe, expect, test } from 'vitest';
import { neededRights } from '../../../api/launchers/kubernetes/check.ts';
import { statusAnswer } from '../../support/fake-kubernetes.ts';
import {
  checkRights,
  on,
  prepared,
  rights,
  useCluster,
} from '../../support/kubernetes-launches.ts';

useCluster();

describe('the check', () => {
  const found = async (fields: object = {}) =>
    (await prepared(fields).launcher.check()).map(
      ({ severity, detail }) => `${severity}: ${detail}`,
    );

  test('needs just the rights that infra/kubernetes/rbac.yaml grants', () => {
    const needed = neededRights.flatMap(({ group, resource, verbs }) =>
      verbs.map((verb) => `${verb} ${group}/${resource}`),
    );
    expect(needed).toEqual(rights);
    expect(rights.filter((one) => one.includes('secrets'))).toEqual([
      'create /secrets',
      'delete /secrets',
    ]);
  });

  test('tries out a Job and a pod, makes neither, and says what it cannot know', async () => {
    on.cluster.rights = new Set([...rights, ...checkRights]);
    on.cluster.queues = ['gpus'];
    expect(await found({ queue: 'gpus' })).toEqual([
      'ok: Kubernetes v1.32.1',
      'ok: has the rights that it needs in namespace counterweight',
      'ok: the cluster would take a Job (dry run)',
      'ok: the cluster would take a pod (dry run)',
      'ok: Kueue has the queue "gpus"',
      expect.stringMatching(/^warning: not checked/),
    ]);
    expect([on.cluster.jobs.size, on.cluster.pods.size]).toEqual([0, 0]);
  });

  test('names every right that is missing, and what Pod Security says', async () => {
    on.cluster.rights.delete('delete /secrets');
    on.cluster.rights.delete('get /pods/log');
    Object.assign(on.cluster, { warning: 'would violate PodSecurity', minor: '27+' });
    expect(await found({ queue: 'gpus' })).toEqual([
      expect.stringMatching(/^warning: Kubernetes v1\.27\+\.1 is older than 1\.29/),
      expect.stringContaining(
        'error: lacks rights in namespace counterweight: get pods/log, delete secrets;',
      ),
      'ok: the cluster would take a Job (dry run)',
      'warning: of a Job the cluster says: would violate PodSecurity',
      expect.stringMatching(/^warning: no pod was tried out/),
      expect.stringMatching(/^warning: whether Kueue has the queue/),
      expect.stringMatching(/^warning: not checked/),
    ]);
  });

  test('says why a pod would be refused, and that the queue is not there', async () => {
    on.cluster.rights = new Set([...rights, ...checkRights]);
    const words = 'pods "cw-check-0" is forbidden: violates PodSecurity "restricted:latest"';
    const pods = '/api/v1/namespaces/counterweight/pods';
    on.cluster.instead.set(`POST ${pods}`, statusAnswer(403, 'Forbidden', words));
    const findings = await found({ queue: 'gpus' });
    expect(findings).toContainEqual(expect.stringMatching(/^error: .*violates PodSecurity/));
    expect(findings).toContainEqual(expect.stringMatching(/^error: there is no LocalQueue "gpus"/));
  });

  test('throws nothing for a token that is wrong', async () => {
    on.cluster.instead.set('GET /version', statusAnswer(401, 'Unauthorized', 'Unauthorized'));
    expect((await found())[0]).toContain('it is wrong or has expired');
  });
});
