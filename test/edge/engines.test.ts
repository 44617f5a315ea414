// Engines that speak HTTP, asked by the service inside workerd; and what needs a machine, refused
// there in words that say what to do.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Neon, startNeon } from '../stacks/stack.ts';
import { startFakeKubernetes } from '../support/fake-kubernetes.ts';
import { startFakeSlurm } from '../support/fake-slurm.ts';
import { rightsIn } from '../support/kubernetes-rights.ts';
import { noPostgres } from '../support/postgres.ts';
import { startWorker, type TestWorker } from '../support/worker.ts';

const adminToken = 'cw_admin_of_these_engines';
const image = `registry.example.org/trainer@sha256:${'a'.repeat(64)}`;
const shared = { images: [image], outputPath: '/shared/out', gpuTypes: ['h200'] };

describe.skipIf(noPostgres())('a Worker', () => {
  const stops: (() => Promise<unknown>)[] = [];
  let worker: TestWorker;
  beforeAll(async () => {
    const neon: Neon = await startNeon();
    const slurm = await startFakeSlurm();
    const rights = [...rightsIn('infra/kubernetes/rbac.yaml')];
    const kubernetes = await startFakeKubernetes([
      ...rights,
      ...rightsIn('infra/kubernetes/check.yaml'),
    ]);
    const onSlurm = {
      user: 'lab',
      partition: 'gpu',
      apiVersion: 'v0.0.38',
      container: 'apptainer',
    };
    const targets = [
      {
        ...{ name: 'slurm', engine: 'slurm', address: slurm.address, ...shared, ...onSlurm },
        credentials: { env: 'SLURM_TOKEN' },
      },
      {
        ...{ name: 'kubernetes', engine: 'kubernetes', address: kubernetes.url, ...shared },
        credentials: { env: 'KUBERNETES_TOKEN' },
        dataPaths: { liver: 'pvc:lab-images/raw' },
        outputPath: 'pvc:lab-images/counterweight',
        gpuNodeLabels: { h200: 'NVIDIA-H200' },
      },
      {
        ...{ name: 'unset', engine: 'slurm', address: slurm.address, ...shared, ...onSlurm },
        credentials: { env: 'NO_SUCH_BINDING' },
      },
      {
        ...{ name: 'filed', engine: 'slurm', address: slurm.address, ...shared, ...onSlurm },
        credentials: { file: '/run/token' },
      },
      { name: 'local', engine: 'local' },
      { name: 'docker', engine: 'docker' },
    ];
    worker = await startWorker({
      DATABASE_URL: neon.postgres.urls.service,
      CW_NEON_PROXY: neon.bridge.proxy,
      CW_ADMIN_TOKEN: adminToken,
      CW_PUBLIC_URL: 'https://weights.example.org',
      CW_TARGETS: JSON.stringify(targets),
      SLURM_TOKEN: 'e30.e30.c2ln',
      KUBERNETES_TOKEN: kubernetes.token,
    });
    expect(await worker.cron()).toBe('ok');
    stops.push(() => worker.stop(), kubernetes.stop, slurm.stop, neon.stop);
  });
  afterAll(async () => {
    for (const stop of stops) await stop();
  });

  async function checked(name: string): Promise<{ status: number; said: string[]; body: any }> {
    const headers = { authorization: `Bearer ${adminToken}` };
    const response = await fetch(`${worker.url}/v1/targets/${name}/check`, { headers });
    const body = (await response.json()) as any;
    const said = (body.findings ?? []).map(
      ({ severity, detail }: { severity: string; detail: string }) => `${severity}: ${detail}`,
    );
    return { status: response.status, said, body };
  }

  test('asks slurmrestd', async () => {
    expect((await checked('slurm')).said).toContainEqual(
      expect.stringMatching(/^ok: slurmctld on \w+ answers: Slurm 22.05.8/),
    );
  });

  test('asks the API of a cluster', async () => {
    expect((await checked('kubernetes')).said).toContain(
      'ok: has the rights that it needs in namespace counterweight',
    );
  });

  test('says which binding is not set', async () => {
    expect((await checked('unset')).said.join(' ')).toMatch(
      /variable NO_SUCH_BINDING, which its credentials name, is not set; set it to the token/,
    );
  });

  test.each([
    ['filed', 'field credentials: there are no files here; keep the secret in a binding'],
    ['local', 'field engine: "local" needs a machine; run the service on Node for it'],
    ['docker', 'field engine: "docker" needs a machine; run the service on Node for it'],
  ])('refuses target %s', async (name, sentence) => {
    const { status, body } = await checked(name);
    expect([status, body.type]).toEqual([502, '/docs#problem-launcher-failed']);
    expect(body.detail).toContain(sentence);
  });
});
