// A target on the fake API server, and launches on it: what the tests of this launcher start from.

import { afterAll, beforeAll, beforeEach } from 'vitest';
import { createKubernetesLauncher } from '../../api/launchers/kubernetes/kubernetes.ts';
import { type FakeKubernetes, startFakeKubernetes } from './fake-kubernetes.ts';
import { rightsIn } from './kubernetes-rights.ts';
import { specOf, targetOf } from './launch-specs.ts';

export const rights = rightsIn('infra/kubernetes/rbac.yaml');
export const checkRights = rightsIn('infra/kubernetes/check.yaml');
export const launchKey = 'cw-01jd8z4n5v6w7x8y9zabcdefgh-1';
export const jobPath = `/apis/batch/v1/namespaces/counterweight/jobs/${launchKey}`;
export const secretsPath = '/api/v1/namespaces/counterweight/secrets';
export const gpu = { resources: { gpus: { count: 1, type: 'h200' }, cpus: 7.5 } };
const image = `registry.example.org/trainer@sha256:${'a'.repeat(64)}`;

/** The API server of this file's tests, empty before each of them. */
export const on: { cluster: FakeKubernetes } = { cluster: undefined as never };

/** Starts the API server for the tests of a file; it grants what infra/kubernetes/ grants. */
export function useCluster(): void {
  beforeAll(async () => {
    on.cluster = await startFakeKubernetes(rights);
  });
  afterAll(() => on.cluster.stop());
  beforeEach(() => {
    const { jobs, pods, secrets, instead, scripts } = on.cluster;
    for (const one of [jobs, pods, secrets, instead, scripts]) one.clear();
    Object.assign(on.cluster, {
      rights: new Set(rights),
      events: [],
      queues: [],
      asked: [],
      pageSize: 500,
      expiredLists: 0,
      minor: '32',
      warning: null,
    });
  });
}

export const withFields = (fields: object = {}) =>
  targetOf({
    engine: 'kubernetes',
    address: on.cluster.url,
    credentials: { file: '/run/token' },
    images: [image],
    dataPaths: { liver: 'pvc:lab-images/raw/Dataset003_Liver' },
    outputPath: 'pvc:lab-images/counterweight',
    gpuTypes: ['h200'],
    gpuNodeLabels: { h200: 'NVIDIA-H200' },
    ...fields,
  });

export function prepared(fields: object = {}, given: object = {}) {
  const target = withFields(fields);
  const credential = async () => on.cluster.token;
  const launcher = createKubernetesLauncher(target, { credential });
  const request = launcher.prepare(specOf(target, given));
  return { launcher, request, handle: { launchKey: request.launchKey } };
}

export async function launched(fields: object = {}, given: object = {}) {
  const { launcher, request } = prepared(fields, given);
  const handle = await launcher.submit(request, 'cw_secret');
  const told = async () => (await launcher.poll([handle])).get(handle.launchKey);
  return { launcher, request, handle, told };
}

export const job = () => on.cluster.jobs.get(launchKey);
export const pod = () => [...on.cluster.pods.values()][0];
