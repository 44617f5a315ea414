// A run whose draws change, the trainer and the service both real: a ramp, then children by the
// losses of the run itself. Its trainer is killed with SIGKILL and the next attempt goes on.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Job, LedgerEpoch } from '../../api/contract/jobs.ts';
import { launchTargetsSchema } from '../../api/contract/targets.ts';
import type { Report, TrainerCase } from '../../api/contract/trainer.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import { rows } from '../../api/store/database.ts';
import { train } from '../../trainer/main.ts';
import { exitCodes } from '../../trainer/settings.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { must, ndjsonOf } from '../support/builders.ts';
import { createFakeLauncher } from '../support/fake-launcher.ts';
import { tickingClock } from '../support/ticking-clock.ts';
import { writeTinyDataset } from '../support/tiny-dataset.ts';

const sides = { train: ['t0', 't1', 't2', 't3'], val: ['v0', 'v1'] };
const maxShift = 0.05;
const settings = {
  epochs: 7,
  drawsPerEpoch: 8,
  batchSize: 2,
  network: { features: [2, 4] },
  patch: [4, 8, 8],
  validateEvery: 7,
  checkpointEvery: 2,
  prefetch: 0,
};
const rules = {
  groups: ['site'],
  sampling: {
    terms: [
      { name: 'noisy', kind: 'formula', expression: 'case.noise' },
      { name: 'hard', kind: 'difficulty', attribute: 'runLoss', measure: 'loss', power: 8 },
    ],
  },
  schedule: { kind: 'ramp', epochs: 2, stages: 2 },
  adaptive: { everyEpochs: 2, attribute: 'runLoss', momentum: 0.5, minEvidence: 1, maxShift },
};

const launcher = createFakeLauncher();
let root: string;
let api: TestApp;
let snapshot: string;
let address: string;
let close: () => void;
/** Sees what a trainer process has reported, once it was answered. */
let seen: (report: Partial<Report>) => void = () => {};

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'cw-children-'));
  const targets = launchTargetsSchema.parse([
    { name: 'local', engine: 'local', dataPaths: { tiny: join(root, 'data') } },
  ]);
  api = await openTestApp({ launcher, targets });
  snapshot = await frozen(await writeTinyDataset(join(root, 'data'), sides));
  await new Promise<void>((ready) => {
    const answer = async (request: Request) => {
      const isReport = new URL(request.url).pathname === '/v1/trainer/reports';
      const report = isReport ? await request.clone().json() : {};
      const response = await api.app.fetch(request);
      seen(report);
      return response;
    };
    const server = serve({ fetch: answer, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
      address = `http://127.0.0.1:${port}`;
      ready();
    });
    close = () => server.close();
  });
});
afterAll(() => {
  close();
  rmSync(root, { recursive: true, force: true });
});

async function frozen(cases: TrainerCase[]): Promise<string> {
  const origin = { model: 'the run itself', evidence: 'inTraining' };
  const attributes = {
    site: { type: 'string' },
    noise: { type: 'number' },
    runLoss: { type: 'number', required: false, origin },
  };
  const dataset = { labels: { background: 0, blob: 1 }, channels: { '0': 'MRI' }, attributes };
  await must(api, 201, 'POST', '/v1/datasets', { name: 'tiny', ...dataset });
  const path = '/v1/datasets/tiny';
  await must(api, 201, 'POST', `${path}/versions`, { reason: 'test' });
  const lines = cases.map(({ id, groups, files }) => {
    const noise = id.endsWith('0') ? 3 : 1;
    return { id, attributes: { site: groups.site, noise }, files };
  });
  await must(api, 200, 'POST', `${path}/versions/1/cases`, ndjsonOf(lines));
  await must(api, 200, 'PUT', `${path}/versions/1/splits/one`, [sides]);
  await must(api, 200, 'POST', `${path}/versions/1/commit`, { reason: 'test' });
  await must(api, 201, 'POST', `${path}/rule-sets`, { name: 'moving', rules, reason: 'test' });
  const body = { version: 1, split: 'one', fold: 0, ruleSet: 'moving@1', reason: 'test' };
  return (await must(api, 201, 'POST', `${path}/snapshots`, body)).digest;
}

const read = async (id: string): Promise<Job> => await must(api, 200, 'GET', `/v1/jobs/${id}`);

async function launch(): Promise<string> {
  const body = { snapshot, target: 'local', seed: 5, settings, reason: 'test' };
  return (await must(api, 201, 'POST', '/v1/jobs', body)).id;
}

const tokenOf = (key: string) => launcher.launches.get(key)!.token;

async function trained(id: string, attempt: number, outPath: string): Promise<Job> {
  const key = `cw-${id}-${attempt}`;
  const dataPath = join(root, 'data');
  const run = { job: id, token: tokenOf(key), dataPath, outPath, threads: null };
  const code = await train({
    environment: { api: 'http://service', ...run, backend: 'cpu' },
    fetch: (async (url: string, init: RequestInit) =>
      await api.app.request(url, init)) as typeof fetch,
    clock: tickingClock(),
    signal: new AbortController().signal,
    say: () => {},
  });
  expect(code).toBe(exitCodes.done);
  launcher.observe(key, { state: 'exited', exit: { code, signal: null } });
  await reconcileJobs(api.deps);
  return await read(id);
}

/** A trainer of its own process, killed once the draws of an epoch are reported. */
async function killedAfter(epoch: number, id: string, outPath: string): Promise<void> {
  const key = `cw-${id}-1`;
  const environment = {
    CW_API: address,
    CW_JOB: id,
    CW_TOKEN: tokenOf(key),
    CW_DATA: join(root, 'data'),
    CW_OUT: outPath,
  };
  const trainer: ChildProcess = spawn(
    process.execPath,
    ['--import', 'tsx', 'trainer/main.ts', '--backend', 'cpu'],
    { env: { ...process.env, ...environment }, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  seen = ({ ledger = [] }) => {
    if (ledger.some((range) => range.epoch === epoch)) trainer.kill('SIGKILL');
  };
  const signal = await new Promise((ended) => trainer.once('exit', (_, how) => ended(how)));
  expect(signal).toBe('SIGKILL');
  launcher.observe(key, { state: 'failed', exit: { code: null, signal: 'SIGKILL' } });
  await reconcileJobs(api.deps);
}

/** The digest of what each epoch is drawn by, as the job says. */
const drawnBy = ({ snapshots }: Job): string[] =>
  Array.from(
    { length: settings.epochs },
    (_, epoch) => snapshots.findLast(({ fromEpoch }) => fromEpoch <= epoch)!.digest,
  );

const ledgerOf = async (id: string): Promise<LedgerEpoch[]> =>
  (await must(api, 200, 'GET', `/v1/jobs/${id}/ledger`)).items;

describe('a job with a ramp and evidence of its own', () => {
  let killed: Job;
  let resumed: Job;
  beforeAll(async () => {
    const id = await launch();
    const outPath = mkdtempSync(join(root, 'out-'));
    await killedAfter(4, id, outPath);
    killed = await read(id);
    await must(api, 200, 'POST', `/v1/jobs/${id}/retry`, { reason: 'it was killed' });
    resumed = await trained(id, 2, outPath);
  }, 120_000);

  test('is killed behind its checkpoint, and its next attempt ends with every draw verified', async () => {
    expect(killed).toMatchObject({ state: 'failed', reason: { code: 'external' } });
    expect(killed.snapshots.map(({ fromEpoch }) => fromEpoch)).toEqual([0, 1, 2, 4]);
    expect(resumed.state).toBe('succeeded');
    expect(resumed.verifiedDraws).toEqual({ verified: 7, partial: 0, mismatch: 0 });
    const ledger = await ledgerOf(resumed.id);
    // Its checkpoint was of the start of epoch 4, which it did again by the same snapshot.
    expect(ledger.map(({ repeated }) => repeated)).toEqual([0, 0, 0, 0, 8, 0, 0]);
    const { snapshots } = resumed;
    expect(snapshots.slice(0, 4)).toEqual(killed.snapshots);
    expect(ledger.map((one) => one.snapshot)).toEqual(drawnBy(resumed));
    const causes = ['ramp', 'ramp', 'ramp', 'adaptive', 'adaptive'];
    expect(snapshots.map(({ cause }) => cause)).toEqual(causes);
  });

  test('has the children of a run that nobody killed, as its evidence counts once', async () => {
    const id = await launch();
    const whole = await trained(id, 1, mkdtempSync(join(root, 'out-')));
    expect(whole.snapshots).toEqual(resumed.snapshots);
    const counted = await rows<{ epoch: number; seen: number }>(
      api.deps.database.orm,
      sql`select s.from_epoch as epoch, (select sum(n) from unnest(o.seen) n)::int as seen
        from job_snapshots s join snapshot_origins o using (snapshot_id)
        where s.job_id = ${resumed.id} and o.seen is not null order by 1`,
    );
    const draws = [4, 6].map((epoch) => ({ epoch, seen: epoch * settings.drawsPerEpoch }));
    expect(counted).toEqual(draws);
  }, 120_000);

  test('draws by a chain of children that move no further than allowed, and no target', async () => {
    let parent = snapshot;
    for (const { digest, cause } of resumed.snapshots) {
      const child = await must(api, 200, 'GET', `/v1/snapshots/${digest}`);
      expect(child).toMatchObject({ parent, header: { parentDigest: parent, cause } });
      const isAdaptive = cause === 'adaptive';
      expect(child.header.evidenceDigest === null).toBe(!isAdaptive);
      const diff = await must(api, 200, 'GET', `/v1/snapshots/${parent}/diff/${digest}`);
      expect(diff.objectiveChanged).toBe(false);
      expect(diff.totalVariation).toBeGreaterThan(0);
      if (isAdaptive) expect(diff.totalVariation).toBeLessThanOrEqual(maxShift);
      const cases = await casesOf(digest);
      expect(cases.map(({ id, targetUnits }) => [id, targetUnits])).toEqual(
        (await casesOf(snapshot)).map(({ id, targetUnits }) => [id, targetUnits]),
      );
      parent = digest;
    }
  });

  test('can explain every case of every child, and the audit chain vouches for them', async () => {
    for (const { digest } of resumed.snapshots) {
      for (const id of sides.train) {
        const path = `/v1/snapshots/${digest}/cases/${id}`;
        const { terms, drawProbability, mix } = await must(api, 200, 'GET', path);
        const [found] = (await casesOf(digest)).filter((one) => one.id === id);
        expect(drawProbability).toBe(Number(found!.drawUnits) / 2 ** 52);
        expect(terms.map(({ name }: { name: string }) => name)).toEqual(['noisy', 'hard']);
        expect(mix).toEqual(expect.any(String));
      }
    }
    expect(await must(api, 200, 'GET', '/v1/audit/verify')).toMatchObject({
      ok: true,
      findings: [],
    });
  });

  test('stands in the lineage both ways, and counts its draws by the snapshot of each epoch', async () => {
    const { snapshots } = resumed;
    const [stage, later] = snapshots;
    const lineage = await must(api, 200, 'GET', `/v1/snapshots/${later!.digest}/lineage`);
    expect(lineage.parents.map(({ digest }: any) => digest)).toEqual([stage!.digest, snapshot]);
    expect(lineage.children.map(({ digest }: any) => digest)).toEqual([snapshots[2]!.digest]);
    expect(lineage.jobs.map(({ id }: any) => id)).toContain(resumed.id);
    let draws = 0;
    for (const id of sides.train) {
      const path = `/v1/datasets/tiny/cases/${id}/usage?job=${resumed.id}`;
      const [{ drawn }] = (await must(api, 200, 'GET', path)).jobs;
      let replayed = 0;
      for (const [epoch, digest] of drawnBy(resumed).entries()) {
        const query = `seed=5&epoch=${epoch}&draws=${settings.drawsPerEpoch}`;
        const response = await api.send('GET', `/v1/snapshots/${digest}/draws?${query}`);
        const ids = (await response.text()).trim().split('\n');
        replayed += ids.filter((line) => JSON.parse(line) === id).length;
      }
      expect(drawn).toMatchObject({ count: replayed, atLeast: replayed, atMost: replayed });
      draws += drawn.count;
    }
    expect(draws).toBe(settings.epochs * settings.drawsPerEpoch);
  });
});

async function casesOf(
  digest: string,
): Promise<{ id: string; targetUnits: string; drawUnits: string }[]> {
  const headers = { accept: 'application/json' };
  const response = await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, headers);
  return (await response.json()).cases;
}
