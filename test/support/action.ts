// A service that the action reaches over the loopback address: the real app with a fake engine, an
// alias that has moved, and a front in which a test can meddle with requests.

import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { must } from './builders.ts';
import { type JobTest, jobSeed, jobSettings, ledgerRange, openJobTest } from './jobs.ts';

type Asked = { method: string; path: string; key: string | null; bearer: string | null };
type Front = (request: Request) => Response | undefined | Promise<Response | undefined>;

export type ActionTest = JobTest & {
  url: string;
  /** Inputs of a launch from `phantom@production`, by the admin's token. */
  inputs: Record<string, string>;
  /** Everything that was asked, in order. */
  asked: Asked[];
  /** Answers before the app does, where it answers; null: the app alone. */
  meddle: (front: Front | null) => void;
  /** Ids of jobs, in the order of their launch. */
  jobIds: () => string[];
  /** Trains a job to its end, with these figures. */
  succeed: (id: string, summary?: object) => Promise<void>;
  fail: (id: string) => Promise<void>;
  closeAll: () => Promise<void>;
};

export const dice = { organ: 0.9, lesion: 0.6, mean: 0.75 };
export const groups = { 'site=A': { organ: 0.95, lesion: null, mean: 0.95 } };

const softer = {
  groups: ['site', 'labels'],
  target: { terms: [] },
  sampling: { terms: [], floor: 0.2, cap: 5 },
  correction: { strength: 1 },
};

/** The alias stands at fold 0 and 1 by rules "rare"; before it stood at fold 0 by milder ones. */
export async function openActionTest(): Promise<ActionTest> {
  const api = await openJobTest();
  await moveAlias(api);
  const { url, asked, meddle, close } = await openFront(api);
  const end = async (id: string, code: number) => {
    api.launcher.observe(api.keyOf(id), { state: 'exited', exit: { code, signal: null } });
    await api.tick();
  };
  return {
    ...api,
    url,
    inputs: {
      'api-url': url,
      token: api.token,
      dataset: 'phantom',
      alias: 'production',
      folds: '0',
      target: 'local',
      settings: JSON.stringify(jobSettings),
      seed: String(jobSeed),
      poll: '20ms',
      matrix: 'null',
    },
    asked,
    meddle,
    jobIds: () => [...api.launcher.launches.keys()].map((key) => key.split('-')[1]),
    succeed: async (id, summary = { dice, groups }) => {
      const { snapshot } = await api.read(id);
      const trainer = api.trainer(id);
      const ledger = [];
      for (const epoch of [0, 1]) {
        ledger.push(await ledgerRange(api, { epoch, snapshot: snapshot.digest }));
      }
      await trainer.report({ sequence: 0, metrics: [], ledger });
      await trainer.finish({ outcome: 'succeeded', summary });
      await end(id, 0);
    },
    fail: (id) => end(id, 7),
    closeAll: async () => {
      close();
      await api.database.close();
    },
  };
}

async function moveAlias(api: JobTest): Promise<void> {
  const dataset = '/v1/datasets/phantom';
  const reason = 'for the action';
  const set = { name: 'mild', rules: softer, reason };
  await must(api, 201, 'POST', `${dataset}/rule-sets`, set);
  const at = { version: 1, split: 'five-fold', reason };
  const frozen = (fold: number, ruleSet: string) =>
    must(api, 201, 'POST', `${dataset}/snapshots`, { ...at, fold, ruleSet });
  const [mild, second] = [await frozen(0, 'mild@1'), await frozen(1, 'rare@1')];
  const alias = `${dataset}/aliases/production`;
  await must(api, 201, 'PUT', alias, { snapshots: { 0: mild.digest }, reason });
  const standing = { 0: api.snapshot, 1: second.digest };
  await must(api, 200, 'PUT', alias, { snapshots: standing, reason });
}

async function openFront(api: JobTest) {
  const asked: Asked[] = [];
  let front: Front | null = null;
  const server = serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const header = (name: string) => request.headers.get(name);
      asked.push({
        method: request.method,
        path: new URL(request.url).pathname,
        key: header('idempotency-key'),
        bearer: header('authorization')?.replace('Bearer ', '') ?? null,
      });
      return (await front?.(request)) ?? (await api.app.fetch(request));
    },
  });
  if (!server.listening) await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    meddle: (one: Front | null) => {
      front = one;
    },
    close: () => server.close(),
  };
}
