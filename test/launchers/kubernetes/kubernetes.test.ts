// What the Kubernetes launcher asks for, cancels and clears up, against a strict API server from
// memory, which grants only the rights of infra/kubernetes/rbac.yaml. No cluster has seen these.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createKubernetesLauncher } from '../../../api/launchers/kubernetes/kubernetes.ts';
import { endJob, endPod } from '../../support/fake-kubernetes-pods.ts';
import {
  gpu,
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

test('asks for exactly this Job, and the token stands only in the Secret that the Job owns', async () => {
  const mounts = [{ source: '/srv/preprocessed', target: '/preprocessed' }];
  const environment = { nnUNet_preprocessed: '/preprocessed' };
  const { request, handle } = await launched({ mounts, environment, queue: 'gpus' }, gpu);
  const golden = JSON.parse(readFileSync('test/launchers/golden/kubernetes.json', 'utf8'));
  expect(request).toEqual(golden);
  expect(JSON.stringify([request, ...on.cluster.jobs.values()])).not.toContain('cw_secret');
  expect(on.cluster.secrets.get(launchKey)).toMatchObject({
    metadata: { ownerReferences: [{ kind: 'Job', name: launchKey, uid: handle.uid }] },
    immutable: true,
    stringData: { CW_TOKEN: 'cw_secret' },
  });
  expect(job().metadata.annotations).toEqual({ 'cw/launched': 'true' });
});

test('a claim is one volume however often it is mounted, and CPU jobs ask for no GPU', () => {
  const { request } = prepared({ mounts: [{ source: 'pvc:kernels', target: '/cache' }] });
  const { spec } = (request as any).job.spec.template;
  expect(spec.volumes.map(({ name }: any) => name)).toEqual(['files-0', 'files-1', 'tmp', 'shm']);
  expect(spec.containers[0].resources.limits).toEqual({ cpu: '2', memory: '4096Mi' });
  expect(spec).not.toHaveProperty('nodeSelector');
  expect(spec).not.toHaveProperty('tolerations');
});

describe('cancelling', () => {
  test('takes the pod along, which runs until it has stopped', async () => {
    const { launcher, handle, told } = await launched();
    expect(await launcher.cancel(handle, 30)).toBe('accepted');
    expect(on.cluster.jobs.size + on.cluster.secrets.size).toBe(0);
    expect(await told()).toEqual({ state: 'running', detail: 'is being stopped' });
    expect(await launcher.cancel(handle, 0)).toBe('gone');
    endPod(on.cluster, pod(), { exitCode: 143 });
    expect(await told()).toEqual({ state: 'notFound' });
  });

  test('leaves a Job that has ended, with its log, and one of another launch', async () => {
    const { launcher, handle } = await launched();
    expect(await launcher.cancel({ ...handle, uid: 'other' }, 0)).toBe('gone');
    endPod(on.cluster, pod(), { exitCode: 0 });
    expect(await launcher.cancel(handle, 0)).toBe('alreadyDone');
    expect([on.cluster.jobs.size, on.cluster.pods.size]).toEqual([1, 1]);
  });

  test('says what is wrong when it may not', async () => {
    const { launcher, handle } = await launched();
    on.cluster.rights.delete('delete batch/jobs');
    await expect(launcher.cancel(handle, 0)).rejects.toMatchObject({ kind: 'launcher-failed' });
    expect(on.cluster.jobs.size).toBe(1);
  });
});

test('clearing up removes Job, Secret and pod, and may be repeated', async () => {
  const { launcher, handle } = await launched();
  endJob(on.cluster, launchKey, { type: 'Failed', reason: 'DeadlineExceeded' });
  await launcher.cleanup(handle);
  await launcher.cleanup(handle);
  expect([on.cluster.jobs.size, on.cluster.secrets.size]).toEqual([0, 0]);
  expect(pod().metadata).toHaveProperty('deletionTimestamp');
});

test('reads the credential anew for each request, and shows it nowhere', async () => {
  const target = withFields();
  const told: string[] = [];
  const credential = async () => {
    told.push(on.cluster.token);
    return on.cluster.token;
  };
  const launcher = createKubernetesLauncher(target, { credential });
  const request = launcher.prepare(specOf(target));
  const handle = await launcher.submit(request, 'x');
  await launcher.poll([handle]);
  expect(told).toHaveLength(on.cluster.asked.length);
  const methods = on.cluster.asked.map((one) => one.split(' ')[0]);
  expect(methods).toEqual(['POST', 'POST', 'PATCH', 'GET', 'GET']);
  expect(JSON.stringify([request, handle])).not.toContain(on.cluster.token);
});

describe('what no launch can be made of is refused before it is stored', () => {
  test.each([
    ['a loopback address', {}, { api: 'http://127.0.0.1:8787' }, 'a pod cannot reach the service'],
    ['a GPU where there is none', { gpuTypes: [] }, gpu, 'has no GPU'],
  ])('%s', (_, fields, given, sentence) => {
    expect(() => prepared(fields, given)).toThrow(sentence);
  });

  test.each([
    ['address', { address: 'http://on.cluster.example.org:6443' }],
    ['address', { address: 'https//oops' }],
    ['outputPath', { outputPath: undefined }],
    ['outputPath', { outputPath: 'out' }],
    ['dataPaths.liver', { dataPaths: { liver: 'pvc:images/../secrets' } }],
    ['user', { user: '0:0' }],
    ['gpuTypes', { gpuTypes: ['H200 (141 GB)'], gpuNodeLabels: {} }],
    ['labels.cw/job', { labels: { 'cw/job': 'x' } }],
    ['mounts.0.target', { mounts: [{ source: '/srv', target: '/tmp' }] }],
    ['', { namespaces: 'misspelt' }],
  ])('a target is refused for its %s', (field, fields) => {
    expect(() => prepared(fields)).toThrow(field === '' ? 'Unrecognized key' : `field ${field}:`);
  });
});
