// Which models saw a case and how often: counted again here from the plans, never believed.

import { beforeAll, describe, expect, test } from 'vitest';
import type { CaseDraws } from '../../api/contract/case-usage.ts';
import { actorOfToken } from '../../api/services/access.ts';
import { caseUsage } from '../../api/services/case-usage.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { must, rules } from '../support/builders.ts';
import {
  type JobTest,
  jobSeed,
  jobSettings,
  ledgerRange,
  openJobTest,
  type Trainer,
} from '../support/jobs.ts';

let api: JobTest;
/** Trains in fold 0, and is drawn in epoch 0 of every job here. */
let drawn: string;
beforeAll(async () => {
  api = await openJobTest();
  drawn = (await plannedIds([0]))[0];
});

/** Judges in fold 0. */
const judged = 'case_0005';

const usageOf = (caseId: string, query = '') =>
  must(api, 200, 'GET', `/v1/datasets/phantom/cases/${caseId}/usage${query}`);

async function snapshotCases() {
  const headers = { accept: 'application/json' };
  const path = `/v1/snapshots/${api.snapshot}/cases`;
  const response = await api.send('GET', path, undefined, headers);
  const { cases } = (await response.json()) as { cases: { id: string; drawUnits: string }[] };
  return cases.map(({ id, drawUnits }) => ({ id, drawUnits: Number(drawUnits) }));
}

async function plannedIds(epochs: number[]): Promise<string[]> {
  const cases = await snapshotCases();
  const drawUnits = cases.map((one) => one.drawUnits);
  const { drawsPerEpoch } = jobSettings;
  const plan = { digest: api.snapshot, drawUnits, seed: jobSeed, drawsPerEpoch };
  return epochs.flatMap((epoch) =>
    Array.from(drawPlan({ ...plan, epoch }), (place) => cases[place].id),
  );
}

async function plannedCount(caseId: string, epochs: number[]): Promise<number> {
  return (await plannedIds(epochs)).filter((id) => id === caseId).length;
}

async function finish(id: string, trainer: Trainer) {
  await trainer.finish({ outcome: 'succeeded' });
  api.launcher.observe(api.keyOf(id), { state: 'exited', exit: { code: 0, signal: null } });
  await api.tick();
}

const only = (usage: any, id: string) => usage.jobs.find((job: any) => job.id === id);

describe('draws', () => {
  test('are counted in verified epochs, and a job that succeeded is a model', async () => {
    const { id } = await api.launch();
    const trainer = api.trainer(id);
    const ledger = [await ledgerRange(api, { epoch: 0 }), await ledgerRange(api, { epoch: 1 })];
    await trainer.report({ sequence: 0, ledger });
    await finish(id, trainer);
    const usage = await usageOf(drawn);
    const count = await plannedCount(drawn, [0, 1]);
    expect(count).toBeGreaterThan(0);
    expect(only(usage, id)).toEqual({
      id,
      state: 'succeeded',
      snapshot: api.snapshot,
      side: 'train',
      drawn: {
        count,
        epochsCounted: 2,
        atLeast: count,
        atMost: count,
        epochsVerified: 2,
        unverifiedEpochs: 0,
        epochsTotal: 2,
      },
    });
    expect(usage.models).toContain(id);
  });

  test('of all cases together are all draws of the verified epochs', async () => {
    const { id } = await api.launch();
    await api.trainer(id).report({ sequence: 0, ledger: [await ledgerRange(api, { epoch: 0 })] });
    let sum = 0;
    for (let k = 0; k < 40; k++) {
      const usage = await usageOf(`case_${String(k).padStart(4, '0')}`, `?job=${id}`);
      sum += only(usage, id)?.drawn?.count ?? 0;
    }
    expect(sum).toBe(jobSettings.drawsPerEpoch);
  });

  test('in epochs that are partly covered or differ are not counted, and it is said', async () => {
    const { id } = await api.launch({ settings: { ...jobSettings, epochs: 3 } });
    const wrong = { ...(await ledgerRange(api, { epoch: 1 })), digest: `sha256:${'0'.repeat(64)}` };
    const part = await ledgerRange(api, { epoch: 2, draws: 4 });
    const whole = await ledgerRange(api, { epoch: 0 });
    await api.trainer(id).report({ sequence: 0, ledger: [wrong, part, whole] });
    const count = await plannedCount(drawn, [0]);
    expect(only(await usageOf(drawn), id).drawn).toMatchObject({
      count,
      epochsVerified: 1,
      unverifiedEpochs: 2,
      epochsTotal: 3,
    });
  });

  test('of a job that reported none are unverified, not never', async () => {
    const { id } = await api.launch();
    const trainer = api.trainer(id);
    await trainer.report({ sequence: 0, progress: { step: 5, steps: 8 } });
    const seen = { count: 0, epochsVerified: 0, unverifiedEpochs: 2, epochsTotal: 2 };
    expect(only(await usageOf(drawn), id).drawn).toMatchObject(seen);
    const waiting = await api.launch();
    const begun = only(await usageOf(drawn), waiting.id).drawn;
    expect(begun).toMatchObject({ ...seen, unverifiedEpochs: 0 });
    await finish(id, trainer);
    expect(only(await usageOf(drawn), id).drawn).toMatchObject(seen);
  });

  test('beyond the work of one answer are bounded, and counted when asked again', async () => {
    const { id } = await api.launch({ settings: { ...jobSettings, epochs: 3 } });
    const ledger = await Promise.all([0, 1, 2].map((epoch) => ledgerRange(api, { epoch })));
    await api.trainer(id).report({ sequence: 0, ledger });
    const counts = await Promise.all([0, 1, 2].map((epoch) => plannedCount(drawn, [epoch])));
    const whole = counts[0] + counts[1] + counts[2];
    // A deployment that has kept no counts yet; one unit of work is one epoch.
    const deps = { ...api.deps, process: {} };
    const actor = await actorOfToken(deps, api.token);
    const asked = { dataset: 'phantom', caseId: drawn, job: id, work: 1 };
    let count = 0;
    for (const [k, epochCount] of counts.entries()) {
      const { jobs } = await caseUsage(deps, actor, asked);
      count += epochCount;
      const seen = jobs[0].drawn as CaseDraws;
      expect([seen.count, seen.epochsCounted, seen.epochsVerified]).toEqual([count, k + 1, 3]);
      expect(seen.atLeast).toBeLessThanOrEqual(whole);
      expect(seen.atMost).toBeGreaterThanOrEqual(whole);
      expect(seen.atMost - seen.atLeast).toBe(2 - k);
    }
  });

  test('that overlap after a resume count once', async () => {
    const { id } = await api.launch();
    const ledger = [
      await ledgerRange(api, { epoch: 0, draws: 6 }),
      await ledgerRange(api, { epoch: 0, from: 4, draws: 4 }),
    ];
    await api.trainer(id).report({ sequence: 0, ledger });
    const count = await plannedCount(drawn, [0]);
    expect(only(await usageOf(drawn), id).drawn).toMatchObject({ count, epochsVerified: 1 });
  });
});

describe('sides', () => {
  test('a case that a job was judged by is on side val, with no draws', async () => {
    const { id } = await api.launch();
    const usage = await usageOf(judged);
    expect(only(usage, id)).toMatchObject({ side: 'val', drawn: null });
    expect(usage.snapshots).toEqual([]);
  });

  test('a case withdrawn before the launch is on no side; earlier jobs keep theirs', async () => {
    const before = await api.launch();
    api.moveClock(1000);
    const caseId = 'case_0015';
    const path = '/v1/datasets/phantom/withdrawals';
    await must(api, 201, 'POST', path, { caseId, reason: 'consent withdrawn' });
    api.moveClock(1000);
    const after = await api.launch();
    const usage = await usageOf(caseId);
    expect(usage.withdrawn).toMatchObject({ caseId, reason: 'consent withdrawn' });
    expect(only(usage, before.id)?.side).toBe('val');
    expect(only(usage, after.id)).toBeUndefined();
    expect(await casesSent(before.id)).toContain(caseId);
    expect(await casesSent(after.id)).not.toContain(caseId);
    expect(await casesSent(after.id)).toContain(judged);
  });

  async function casesSent(id: string): Promise<string[]> {
    const token = api.launcher.launches.get(api.keyOf(id))?.token;
    const headers = { authorization: `Bearer ${token}`, accept: 'application/x-ndjson' };
    const text = await (await api.send('GET', '/v1/trainer/cases', undefined, headers)).text();
    return text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id);
  }
});

describe('snapshots', () => {
  test('hold the case with its draw probability, or exclude it', async () => {
    const motion = 'case_0020'; // quality 0.05, which the rules exclude
    const units = (await snapshotCases()).find(({ id }) => id === drawn)?.drawUnits as number;
    const found = await usageOf(drawn);
    expect(found.versions).toEqual([1]);
    expect(found.snapshots).toHaveLength(1);
    expect(found.snapshots[0]).toMatchObject({
      digest: api.snapshot,
      version: 1,
      split: 'five-fold',
      fold: '0',
      side: 'train',
      drawProbability: units / 2 ** 52,
      createdAt: (await must(api, 200, 'GET', `/v1/snapshots/${api.snapshot}`)).createdAt,
    });
    expect(found.snapshotsTotal).toBe(1);
    const fold = { version: 1, split: 'five-fold', fold: 1, ruleSet: 'rare@1', reason: 'x' };
    await must(api, 201, 'POST', '/v1/datasets/phantom/snapshots', fold);
    const excluded = await usageOf(motion);
    expect(excluded.snapshots).toMatchObject([{ fold: '1', side: 'excluded', drawProbability: 0 }]);
    expect(excluded.jobs.every((job: any) => job.side === 'val')).toBe(true);
  });

  test('of both: every case of the dataset is found where its snapshot says', async () => {
    const { body } = await api.call('POST', '/v1/datasets/phantom/what-if', {
      version: 1,
      split: 'five-fold',
      fold: 2,
      rules,
    });
    const fold = { version: 1, split: 'five-fold', fold: 2, ruleSet: 'rare@1', reason: 'x' };
    const { id } = await must(api, 201, 'POST', '/v1/datasets/phantom/snapshots', fold);
    const sides = { train: 0, excluded: 0, none: 0 };
    let probability = 0;
    for (let k = 0; k < 40; k++) {
      const usage = await usageOf(`case_${String(k).padStart(4, '0')}`);
      const one = usage.snapshots.find((snapshot: any) => snapshot.id === id);
      sides[(one?.side ?? 'none') as keyof typeof sides] += 1;
      probability += one?.drawProbability ?? 0;
    }
    expect(sides).toEqual({
      train: body.diagnostics.caseCount,
      excluded: body.excluded.length,
      none: 8,
    });
    expect(probability).toBeCloseTo(1, 12);
  });
});

test('a case that was never there is not found, nor is one of another workspace', async () => {
  const answer = await api.call('GET', '/v1/datasets/phantom/cases/case_9999/usage');
  expect([answer.status, answer.body.detail]).toEqual([
    404,
    expect.stringContaining('never had a case "case_9999"'),
  ]);
  expect((await api.call('GET', '/v1/datasets/nothing/cases/x/usage')).status).toBe(404);
});
