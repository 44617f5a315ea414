// Real jobs: the service as a process, nnU-Net as a child of its local launcher, part of a real
// data set. What the service then says of draws, children and results is what is tested.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Job } from '../../../api/contract/jobs.ts';
import { type Client, createClient } from '../../../trainer/client.ts';
import { systemIo } from '../../../trainer/commands/io.ts';
import { pushFolder } from '../../../trainer/commands/push.ts';
import { verifyLedger } from '../../../trainer/commands/verify.ts';
import { hasEnded } from '../../../trainer/commands/watch.ts';
import { type DemoService, startService } from '../../../trainer/demo/service.ts';
import { nnunetPython, pythonChecks } from '../../support/nnunet.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const images = join(root, '../shared/data/Dataset004_Hippocampus');
const name = 'Dataset004_Hippocampus';
const versions = '/v1/datasets/Hippocampus/versions';
const hasImages = existsSync(images);
const caseCount = 20;

if (!hasImages) {
  process.stderr.write(
    `SKIPPED: jobs of nnU-Net on real images: ${images} is not there. It is Task04 of the Medical\n` +
      'Segmentation Decathlon in nnU-Net raw format.\n',
  );
}

const adaptive = {
  groups: ['labels'],
  sampling: {
    terms: [
      { name: 'large', kind: 'formula', expression: 'case.volumeMl_Anterior > 1.5 ? 3.0 : 1.0' },
      { name: 'hard', kind: 'difficulty', attribute: 'runLoss', measure: 'loss', power: 2 },
    ],
  },
  adaptive: { everyEpochs: 1, attribute: 'runLoss', momentum: 0.5, minEvidence: 1, maxShift: 0.1 },
};

const fixed = { groups: ['labels'], sampling: { terms: adaptive.sampling.terms.slice(0, 1) } };

let work: string;
let service: DemoService;
let client: Client;

async function freeze(rules: object, ruleSet: string, fold = 0): Promise<string> {
  const path = '/v1/datasets/Hippocampus';
  await client.call('POST', `${path}/rule-sets`, { name: ruleSet, rules, reason: 'test' });
  const body = { version: 2, split: 'five-fold', fold, ruleSet: `${ruleSet}@1`, reason: 'test' };
  return (await client.call<{ digest: string }>('POST', `${path}/snapshots`, body)).digest;
}

async function launch(snapshot: string, settings: object, more: object = {}): Promise<string> {
  const small = { trainer: 'nnunet', epochs: 3, batchSize: 2, drawsPerEpoch: 10 };
  const { nnunet = {}, ...rest } = settings as { nnunet?: object };
  const own = { plans: 'small', device: 'cpu', validationBatches: 1, ...nnunet };
  const body = { snapshot, target: 'local', seed: 3, reason: 'test', ...more };
  const all = { ...small, ...rest, nnunet: own };
  return (await client.call<Job>('POST', '/v1/jobs', { ...body, settings: all })).id;
}

async function until(id: string, met: (job: Job) => boolean): Promise<Job> {
  for (const deadline = Date.now() + 280_000; ; ) {
    const job = await client.call<Job>('GET', `/v1/jobs/${id}`);
    if (met(job)) return job;
    if (Date.now() > deadline) {
      throw new Error(`job ${id} stays ${JSON.stringify(job)}\n${output(id)}`);
    }
    await sleep(200);
  }
}

const output = (id: string, attempt = 1) =>
  readFileSync(join(work, 'service/launches', `cw-${id}-${attempt}`, 'output.log'), 'utf8');

async function succeeded(id: string): Promise<Job> {
  const job = await until(id, hasEnded);
  expect(job, output(id).slice(-3000)).toMatchObject({ state: 'succeeded' });
  return job;
}

describe.skipIf(!hasImages)('nnU-Net', () => {
  let checks: ReturnType<typeof pythonChecks>;

  beforeAll(async () => {
    work = mkdtempSync(join(tmpdir(), 'counterweight-nnunet-'));
    const python = nnunetPython as string;
    const script = join(root, 'test/trainer/nnunet/checks/data.py');
    execFileSync(python, [script, images, work, String(caseCount)], { stdio: 'pipe' });
    const environment = {
      nnUNet_preprocessed: join(work, 'preprocessed'),
      nnUNet_def_n_proc: '1',
      nnUNet_n_proc_DA: '2',
    };
    const adapter = join(dirname(python), 'counterweight-nnunet');
    const target = {
      name: 'local',
      engine: 'local',
      dataPaths: { Hippocampus: join(work, 'raw', name) },
      outputPath: join(work, 'out'),
      commands: { nnunet: [adapter, 'run'] },
      environment,
    };
    const dataDir = join(work, 'service');
    service = await startService({ dataDir, port: 0, targets: [target], say: () => {} });
    const { url: api, token } = service;
    client = createClient({ api, token, fetch, sleep: (ms) => sleep(ms) });
    const quiet = { ...systemIo, say: () => {}, terminal: false };
    const raw = join(work, 'raw', name);
    await pushFolder(quiet, client, raw, { reason: 'test', split: 'five-fold' });
    const runLoss = { type: 'number', required: false };
    const origin = { model: 'the run itself', evidence: 'inTraining' };
    const path = '/v1/datasets/Hippocampus/attributes/runLoss';
    await client.call('PUT', path, { ...runLoss, origin });
    await client.call('POST', `${versions}`, { base: 1, reason: 'test' });
    await client.call('POST', `${versions}/2/commit`, { reason: 'test' });
    const nnUNet_raw = join(work, 'raw');
    const nnUNet_results = join(work, 'results');
    checks = pythonChecks('stock', { ...environment, nnUNet_raw, nnUNet_results });
  }, 280_000);

  afterAll(async () => {
    checks?.close();
    await service?.stop();
    rmSync(work, { recursive: true, force: true });
  });

  test.each([
    'steps_with_factors_of_one_are_stock_steps',
    'factors_reach_the_loss_once',
    'a_step_that_is_not_finite_changes_nothing',
    'a_stopped_run_goes_on_with_the_same_draws',
    'a_run_stopped_while_it_validates_goes_on',
    'what_cannot_be_run_is_refused',
    'without_a_snapshot_it_does_not_train',
  ])('%s', async (check) => {
    await checks.run(check);
  });

  test('draws the plan with two workers, switches to children, and reports all of it', async () => {
    const snapshot = await freeze(adaptive, 'adaptive');
    const settings = { nnunet: { workers: 2 }, validateEvery: 1 };
    const job = await succeeded(await launch(snapshot, settings));
    expect(job.verifiedDraws).toEqual({ verified: 3, partial: 0, mismatch: 0 });
    expect(job.snapshots.map(({ cause, fromEpoch }) => [cause, fromEpoch])).toEqual([
      ['rules', 0],
      ['adaptive', 1],
      ['adaptive', 2],
    ]);
    expect(await verifyLedger(client, job)).toMatchObject({ replayed: 3, faults: [] });
    expect(job.attempts[0]!.environment).toMatchObject({
      backend: 'nnunet',
      reason: 'small, 3d_fullres',
      versions: { nnunetv2: '2.8.1', plans: expect.stringMatching(/^sha256:/) },
    });
    const { items } = await client.call<{ items: { name: string; epoch: number }[] }>(
      'GET',
      `/v1/jobs/${job.id}/metrics?limit=10000`,
    );
    const epochsOf = (wanted: string) =>
      [...new Set(items.filter(({ name }) => name === wanted).map(({ epoch }) => epoch))].sort();
    expect(epochsOf('diceMean')).toEqual([0, 1, 2]);
    expect(epochsOf('validationLoss')).toEqual([0, 1]); // the last round is nnU-Net's own
    expect(epochsOf('caseLoss')).toEqual([0, 1, 2]);
    expect(items.filter(({ name }) => name === 'loss')).toHaveLength(15);
    const names = (job.summary as { dice: object }).dice;
    expect(Object.keys(names).sort()).toEqual(['Anterior', 'Posterior', 'mean']);
    const artifacts = await client.call<{ items: { name: string; path: string }[] }>(
      'GET',
      `/v1/jobs/${job.id}/artifacts`,
    );
    expect(artifacts.items.map((one) => one.name)).toEqual(
      expect.arrayContaining(['final', 'best', 'summary', 'plans', 'dataset']),
    );
    const summary = artifacts.items.find((one) => one.name === 'summary')!;
    await importsResults(join(work, 'out', job.id, summary.path), 0);
  }, 280_000);

  // nnU-Net's own files, as it wrote them: difficulty by its summary, its split unchanged.
  async function importsResults(summary: string, fold: number): Promise<void> {
    const base = versions;
    const draft = { base: 2, reason: 'test' };
    const { number } = await client.call<{ number: number }>('POST', base, draft);
    const split = readFileSync(join(work, 'preprocessed', name, 'splits_final.json'), 'utf8');
    await client.send('PUT', `${base}/${number}/splits/mine`, jsonText(split));
    const kept = await client.call(`GET`, `${base}/${number}/splits/mine`);
    expect(kept).toEqual(JSON.parse(split));
    const scores = `${base}/${number}/scores/nnunetDice?split=mine&fold=${fold}&reason=test`;
    const answer = await client.send('PUT', scores, jsonText(readFileSync(summary, 'utf8')));
    expect(await answer.json()).toMatchObject({ scored: JSON.parse(split)[fold].val.length });
  }

  test('draws the same with and without workers, and after it was killed', async () => {
    const snapshot = await freeze(fixed, 'fixed');
    const alone = await succeeded(await launch(snapshot, { nnunet: { workers: 0 } }));
    const settings = { epochs: 3, checkpointEvery: 1, nnunet: { workers: 2 } };
    const id = await launch(snapshot, settings);
    await until(id, (job) => (job.progress?.step ?? 0) >= 6);
    const pid = readFileSync(join(work, 'service/launches', `cw-${id}-1`, 'trainer.pid'), 'utf8');
    process.kill(Number(pid), 'SIGKILL');
    expect(await until(id, hasEnded)).toMatchObject({ state: 'failed' });
    await client.call('POST', `/v1/jobs/${id}/retry`, { reason: 'test' });
    await until(id, (job) => job.attempts.length === 2);
    const job = await until(id, hasEnded);
    expect(job, output(id, 2).slice(-3000)).toMatchObject({ state: 'succeeded' });
    const ledgers = await Promise.all(
      [alone.id, id].map((one) =>
        client.call<{ items: { epoch: number; state: string }[] }>('GET', `/v1/jobs/${one}/ledger`),
      ),
    );
    const states = ledgers.map(({ items }) => items.map(({ epoch, state }) => [epoch, state]));
    const verified = [0, 1, 2].map((epoch) => [epoch, 'verified']);
    expect(states).toEqual([verified, verified]);
  }, 280_000);

  test('stops when it is cancelled, and leaves a checkpoint', async () => {
    const snapshot = await freeze(fixed, 'stopped');
    const id = await launch(snapshot, { epochs: 200, nnunet: { workers: 0 } });
    await until(id, (job) => (job.progress?.step ?? 0) >= 2);
    await client.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'test' });
    expect((await until(id, hasEnded)).state).toBe('cancelled');
    const folder = `nnUNet_results/${name}/CounterweightTrainer__small__3d_fullres/fold_0`;
    expect(existsSync(join(work, 'out', id, folder, 'checkpoint_latest.pth'))).toBe(true);
  }, 280_000);

  test('refuses a fold with other training cases than the snapshot', async () => {
    const snapshot = await freeze(fixed, 'other');
    const file = join(work, 'preprocessed', name, 'splits_final.json');
    const before = readFileSync(file, 'utf8');
    const [{ train, val }, ...rest] = JSON.parse(before);
    const moved = [{ train: [...train.slice(1), val[0]], val: [...val.slice(1), train[0]] }];
    writeFileSync(file, JSON.stringify([...moved, ...rest]));
    const id = await launch(snapshot, {});
    const job = await until(id, hasEnded);
    writeFileSync(file, before);
    expect(job.state).toBe('failed');
    expect(job.reason).toMatchObject({ code: 'config' });
    expect(job.reason!.detail).toContain(`${val[0]} of the fold's`);
  }, 280_000);
});

const jsonText = (body: string) => ({ body, headers: { 'content-type': 'application/json' } });
