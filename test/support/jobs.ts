// A job on the fake engine, and its trainer as the service sees it.

import type { Job } from '../../api/contract/jobs.ts';
import { type LaunchTarget, launchTargetsSchema } from '../../api/contract/targets.ts';
import type { LedgerRange, ReportInput } from '../../api/contract/trainer.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import type { Database } from '../../api/store/database.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';
import { openTestApp, type TestApp } from './app.ts';
import { frozenSnapshot, must } from './builders.ts';
import { createFakeLauncher, type FakeLauncher } from './fake-launcher.ts';

export const jobSettings = { epochs: 2, drawsPerEpoch: 8, batchSize: 2 };
export const jobSeed = 7;

type Answer = { status: number; body: any };

export type JobTest = TestApp & {
  launcher: FakeLauncher;
  snapshot: string;
  /** Launches a job; `body` overrides what it asks for. */
  launch: (body?: Record<string, unknown>) => Promise<Job>;
  read: (id: string) => Promise<Job>;
  tick: () => Promise<void>;
  keyOf: (id: string, attempt?: number) => string;
  trainer: (id: string, attempt?: number) => Trainer;
  audit: (id: string) => Promise<string[]>;
};

export type Trainer = {
  get: (path: string) => Promise<Answer>;
  report: (body: Partial<ReportInput> & { sequence: number }) => Promise<Answer>;
  finish: (body: Record<string, unknown>) => Promise<Answer>;
};

/** The app with one target on a fake engine, a dataset and its snapshot. */
export async function openJobTest(
  target: Partial<LaunchTarget> = {},
  database?: Database,
): Promise<JobTest> {
  const launcher = createFakeLauncher();
  const dataPaths = { phantom: '/images' };
  const targets = launchTargetsSchema.parse([
    { name: 'local', engine: 'local', dataPaths, ...target },
  ]);
  const api = await openTestApp({ launcher, targets, database });
  const { snapshot } = await frozenSnapshot(api);
  const keyOf = (id: string, attempt = 1) => `cw-${id}-${attempt}`;
  return {
    ...api,
    launcher,
    snapshot: snapshot.digest,
    keyOf,
    launch: async (body = {}) =>
      await must(api, 201, 'POST', '/v1/jobs', {
        snapshot: snapshot.digest,
        target: 'local',
        seed: jobSeed,
        settings: jobSettings,
        reason: 'test',
        ...body,
      }),
    read: async (id) => await must(api, 200, 'GET', `/v1/jobs/${id}`),
    tick: () => reconcileJobs(api.deps),
    trainer: (id, attempt) => trainerOf(api, tokenOf(launcher, keyOf(id, attempt))),
    audit: async (id) => {
      const { items } = await must(api, 200, 'GET', `/v1/audit?subject=job/${id}&limit=500`);
      return items.map((entry: { action: string }) => entry.action);
    },
  };
}

function tokenOf(launcher: FakeLauncher, launchKey: string): string {
  const launch = launcher.launches.get(launchKey);
  if (launch === undefined) throw new Error(`${launchKey} was never launched`);
  return launch.token;
}

function trainerOf(api: TestApp, token: string): Trainer {
  const headers = { authorization: `Bearer ${token}` };
  return {
    get: (path) => api.call('GET', `/v1/trainer/${path}`, undefined, headers),
    report: (body) => api.call('POST', '/v1/trainer/reports', body, headers),
    finish: (body) => api.call('POST', '/v1/trainer/finish', body, headers),
  };
}

/** What a right trainer would report of an epoch's draws from `from`. */
export async function ledgerRange(
  test: JobTest,
  given: Partial<LedgerRange> & { epoch: number },
): Promise<LedgerRange> {
  const { epoch, from = 0, draws = jobSettings.drawsPerEpoch, snapshot = test.snapshot } = given;
  const path = `/v1/snapshots/${snapshot}/cases`;
  const response = await test.send('GET', path, undefined, { accept: 'application/json' });
  const { cases } = (await response.json()) as { cases: { id: string; drawUnits: string }[] };
  const plan = drawPlan({
    digest: snapshot,
    drawUnits: cases.map(({ drawUnits }) => Number(drawUnits)),
    seed: jobSeed,
    epoch,
    drawsPerEpoch: jobSettings.drawsPerEpoch,
  });
  const ids = Array.from(plan.subarray(from, from + draws), (place) => cases[place].id);
  return { epoch, snapshot, from, draws, digest: ledgerDigest(ids) };
}
