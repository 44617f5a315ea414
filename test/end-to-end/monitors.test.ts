// The trainer against the service, both real, in one process: what a run reports reaches the
// monitors, and a monitor that stops its job ends the run with a checkpoint.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchTargetsSchema } from '../../api/contract/targets.ts';
import type { TrainerCase } from '../../api/contract/trainer.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import { train } from '../../trainer/main.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { must, ndjsonOf } from '../support/builders.ts';
import { createFakeLauncher } from '../support/fake-launcher.ts';
import { tickingClock } from '../support/ticking-clock.ts';
import { writeTinyDataset } from '../support/tiny-dataset.ts';

const sides = { train: ['t0', 't1', 't2', 't3'], val: ['v0', 'v1'] };
const launcher = createFakeLauncher();
let root: string;
let api: TestApp;
let snapshot: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cw-monitors-'));
  const targets = launchTargetsSchema.parse([
    { name: 'local', engine: 'local', dataPaths: { tiny: join(root, 'data') } },
  ]);
  api = await openTestApp({ launcher, targets });
  snapshot = await frozen(await writeTinyDataset(join(root, 'data'), sides));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function frozen(cases: TrainerCase[]): Promise<string> {
  const attributes = { site: { type: 'string' }, noise: { type: 'number' } };
  const dataset = { labels: { background: 0, blob: 1 }, channels: { '0': 'MRI' }, attributes };
  await must(api, 201, 'POST', '/v1/datasets', { name: 'tiny', ...dataset });
  const path = '/v1/datasets/tiny';
  await must(api, 201, 'POST', `${path}/versions`, { reason: 'test' });
  const lines = cases.map(({ id, groups, files }) => {
    // Of each side one case has the highest score, so that both sides have two deciles.
    const noise = id.endsWith('0') ? 2 : 1;
    return { id, attributes: { site: groups.site, noise }, files };
  });
  await must(api, 200, 'POST', `${path}/versions/1/cases`, ndjsonOf(lines));
  await must(api, 200, 'PUT', `${path}/versions/1/splits/one`, [sides]);
  await must(api, 200, 'POST', `${path}/versions/1/commit`, { reason: 'test' });
  const noisy = { name: 'noisy', kind: 'formula', expression: 'case.noise' };
  const rules = { groups: ['site'], sampling: { terms: [noisy] } };
  await must(api, 201, 'POST', `${path}/rule-sets`, { name: 'noisy', rules, reason: 'test' });
  const body = { version: 1, split: 'one', fold: 0, ruleSet: 'noisy@1', reason: 'test' };
  return (await must(api, 201, 'POST', `${path}/snapshots`, body)).digest;
}

const settings = {
  epochs: 3,
  drawsPerEpoch: 4,
  batchSize: 2,
  network: { features: [2, 4] },
  patch: [4, 8, 8],
  validateEvery: 1,
  prefetch: 0,
};

async function trained(monitors: Record<string, unknown>) {
  const launch = { snapshot, target: 'local', seed: 5, settings, monitors, reason: 'test' };
  const { id } = await must(api, 201, 'POST', '/v1/jobs', launch);
  const key = `cw-${id}-1`;
  const outPath = mkdtempSync(join(root, 'out-'));
  const code = await train({
    environment: {
      api: 'http://service',
      job: id,
      token: launcher.launches.get(key)!.token,
      dataPath: join(root, 'data'),
      outPath,
      threads: null,
      backend: 'cpu',
    },
    fetch: (async (url: string, init: RequestInit) =>
      await api.app.request(url, init)) as typeof fetch,
    clock: tickingClock(),
    signal: new AbortController().signal,
    say: () => {},
  });
  launcher.observe(key, { state: 'exited', exit: { code, signal: null } });
  await reconcileJobs(api.deps);
  return { id, code, job: await must(api, 200, 'GET', `/v1/jobs/${id}`) };
}

test('a run that a monitor stops ends with a checkpoint, and its job fails for that reason', async () => {
  // No network of a few steps predicts the volume to a ten-thousandth.
  const drift = { action: 'stop', threshold: 1.0001 };
  const { id, code, job } = await trained({ calibrationDrift: drift });
  expect(code).toBe(exitCodes.stopped);
  expect(job).toMatchObject({
    state: 'failed',
    reason: {
      code: 'user',
      detail: expect.stringMatching(/^the monitor calibrationDrift .*volume/),
    },
    monitors: { calibrationDrift: { state: 'fired', epoch: 0, findings: 1 } },
    progress: { step: 2, steps: 6 },
  });
  const { items } = await must(api, 200, 'GET', `/v1/jobs/${id}/artifacts`);
  expect(items.map(({ name }: { name: string }) => name)).toContain('checkpoint-latest');
});

test('a run that nothing is wrong with reports to every monitor and succeeds', async () => {
  const note = { action: 'note', threshold: 1000, patience: 3 };
  const names = ['sampledCaseOverfit', 'groupRegression', 'calibrationDrift', 'instability'];
  const monitors = Object.fromEntries([...names, 'drawMismatch'].map((name) => [name, note]));
  const { code, job } = await trained(monitors);
  expect([code, job.state]).toEqual([exitCodes.done, 'succeeded']);
  for (const name of names.filter((one) => one !== 'instability')) {
    // Each has read a number. Six steps are too few for a running median.
    expect([name, job.monitors[name]]).toEqual([
      name,
      expect.objectContaining({ state: 'quiet', findings: 0, value: expect.any(Number) }),
    ]);
  }
  expect(job.monitors.instability).toMatchObject({ state: 'quiet', value: null });
  expect(job.monitors.drawMismatch).toMatchObject({ state: 'quiet', value: 0 });
});
