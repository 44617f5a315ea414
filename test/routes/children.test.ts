// Children over HTTP: a job whose draws change between epochs, as a ramp, by its own losses or
// because a monitor wants the draws before; what its trainer, its readers and the audit see of it.

import { type SQL, sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/builders.ts';
import type { JobTest } from '../support/jobs.ts';
import { jobSettings } from '../support/jobs.ts';
import { movingRules, movingRun, openMoving } from '../support/moving.ts';

const epochs = 8;
let api: JobTest;
let freeze: (rules: unknown) => Promise<string>;
beforeAll(async () => {
  ({ api, freeze } = await openMoving());
});

const launched = async (snapshot: string, monitors = {}) =>
  (await api.launch({ snapshot, settings: { ...jobSettings, epochs }, monitors })).id;
const get = async (path: string) => await must(api, 200, 'GET', `/v1/${path}`);
const snapshotOf = (digest: string) => get(`snapshots/${digest}`);
const shiftBetween = async (a: string, b: string) =>
  (await get(`snapshots/${a}/diff/${b}`)).totalVariation as number;
const ledgerOf = async (id: string): Promise<string[]> =>
  (await get(`jobs/${id}/ledger`)).items.map((one: { state: string }) => one.state);
const eventsOf = async (id: string, kind: string) =>
  (await get(`jobs/${id}/events?limit=500`)).items
    .filter((event: { kind: string }) => event.kind === kind)
    .map(({ detail }: { detail: Record<string, unknown> }) => detail);
const drawsOf = async (digest: string): Promise<string[]> => {
  const path = `/v1/snapshots/${digest}/cases`;
  const answer = await api.send('GET', path, undefined, { accept: 'application/json' });
  const { cases } = (await answer.json()) as { cases: { drawUnits: string }[] };
  return cases.map(({ drawUnits }) => drawUnits);
};
const targetsOf = async (digest: string): Promise<string[]> => {
  const path = `/v1/snapshots/${digest}/cases`;
  const answer = await api.send('GET', path, undefined, { accept: 'application/json' });
  const { cases } = (await answer.json()) as { cases: { targetUnits: string }[] };
  return cases.map(({ targetUnits }) => targetUnits);
};
const hard = { a: 4, b: 1, c: 1, d: 1, e: 1, f: 1 };

async function nextAttempt(id: string, attempt: number) {
  api.launcher.observe(api.keyOf(id, attempt), {
    state: 'exited',
    exit: { code: 1, signal: null },
  });
  await api.tick();
  await must(api, 200, 'POST', `/v1/jobs/${id}/retry`, { reason: 'once more' });
  return await movingRun(api, id, attempt + 1);
}

describe('a ramp', () => {
  const schedule = { kind: 'ramp', epochs: 2, stages: 2 };
  let root: string;
  beforeAll(async () => {
    root = await freeze({ ...movingRules({ schedule }), adaptive: null });
  });

  test('begins at the target, rises in stages and ends at the draws of the rules', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    const [start] = run.planned;
    expect([start.fromEpoch, start.digest === root]).toEqual([0, false]);
    expect(await drawsOf(start.digest)).toEqual(await targetsOf(root));
    expect((await run.epoch(0))?.fromEpoch).toBe(1);
    expect((await run.epoch(1))?.fromEpoch).toBe(2);
    for (const epoch of [2, 3]) expect(await run.epoch(epoch)).toBeUndefined();
    expect(await drawsOf(run.drawnBy(2))).toEqual(await drawsOf(root));
    const [half, whole] = [
      await shiftBetween(run.drawnBy(0), run.drawnBy(1)),
      await shiftBetween(run.drawnBy(0), root),
    ];
    expect(half).toBeCloseTo(whole / 2, 12);
    expect(await ledgerOf(id)).toEqual(['verified', 'verified', 'verified', 'verified']);
    expect((await get(`jobs/${id}`)).snapshots).toEqual(
      run.planned.map((stage) => ({ ...stage, cause: 'ramp' })),
    );
  });

  test('is the same children for another job, each with its parent and its reason', async () => {
    const [first, second] = [await launched(root), await launched(root)];
    const one = await movingRun(api, first);
    const other = await movingRun(api, second);
    await one.epoch(0);
    await other.epoch(0);
    expect(other.planned).toEqual(one.planned);
    const child = await snapshotOf(one.drawnBy(1));
    expect(child).toMatchObject({
      parent: one.drawnBy(0),
      reason: 'a ramp over 2 epochs in 2 stages stands at 0.500 in epoch 1',
      header: { cause: 'ramp', parentDigest: one.drawnBy(0), evidenceDigest: null },
      validationInformed: false,
    });
    expect((await snapshotOf(one.drawnBy(0))).parent).toBe(root);
    for (const id of [first, second]) {
      expect(await eventsOf(id, 'snapshotSwitched')).toMatchObject([
        { from: root, to: one.drawnBy(0), fromEpoch: 0, cause: 'ramp' },
        { from: one.drawnBy(0), to: one.drawnBy(1), fromEpoch: 1, because: child.reason },
      ]);
      expect((await api.audit(id)).filter((action) => action.includes('switched'))).toHaveLength(2);
    }
  });

  test('explains a stage by the terms and how much of them it holds', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    await run.epoch(0);
    const explained = await get(`snapshots/${run.drawnBy(1)}/cases/f`);
    const final = await get(`snapshots/${root}/cases/f`);
    expect(explained.terms).toEqual(final.terms);
    expect(explained.mix).toMatch(/^A stage of a ramp: 0\.500 .* target and 0\.500/);
    expect(final.mix).toBe(null);
    const { targetProbability: t, drawProbability: q } = final;
    expect(explained.drawProbability).toBeCloseTo((t + q) / 2, 14);
  });
});

describe('an adaptive job', () => {
  let root: string;
  beforeAll(async () => {
    root = await freeze(movingRules({ adaptive: { maxShift: 0.05 } }));
  });

  test('moves by what it reported, no further than it may, and explains itself', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    expect(run.planned).toEqual([{ digest: root, fromEpoch: 0 }]);
    expect(await run.epoch(0, { losses: hard })).toBeUndefined();
    const announced = await run.epoch(1, { losses: { a: 2 } });
    expect(announced?.fromEpoch).toBe(2);
    const child = run.drawnBy(2);
    expect(await shiftBetween(root, child)).toBeCloseTo(0.05, 10);
    expect(await shiftBetween(root, child)).toBeLessThanOrEqual(0.05);
    expect(await targetsOf(child)).toEqual(await targetsOf(root));
    const stored = await snapshotOf(child);
    expect(stored.header).toMatchObject({ cause: 'adaptive', parentDigest: root });
    expect(stored.header.evidenceDigest).toMatch(/^sha256:/);
    expect(stored.reason).toBe(`losses that job ${id} reported of its cases in epochs 0 to 1`);
    const explained = await get(`snapshots/${child}/cases/a`);
    const term = explained.terms.find(({ name }: { name: string }) => name === 'hard');
    expect(term.because).toMatch(/^runLoss 3 \(/); // the mean of 4 and 2
    expect(term.factor).toBeGreaterThan(1);
    expect(explained.mix).toMatch(/"runLoss" is what the run itself reported.*reaches 0\.05/);
    const before = await get(`snapshots/${root}/cases/a`);
    expect(before.terms[1]).toMatchObject({ name: 'hard', factor: 1 });
    expect(explained.drawProbability).toBeGreaterThan(before.drawProbability);
  });

  test('answers the same switch to a repeated report, and stores it once', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    await run.epoch(0, { losses: hard });
    const announced = await run.epoch(1, { losses: hard });
    expect(await run.again()).toEqual(announced);
    expect(await eventsOf(id, 'snapshotSwitched')).toHaveLength(1);
    // A report in passing, before the next epoch has ended, says it again and decides nothing.
    const { status, body } = await api.trainer(id).report({ sequence: 9 });
    expect([status, body.snapshot]).toEqual([200, announced]);
  });

  test('that goes on drawing by the old snapshot is a mismatch, and moves no more', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    for (const epoch of [0, 1]) await run.epoch(epoch, { losses: hard });
    await run.epoch(2, { losses: hard, snapshot: root });
    expect(await run.epoch(3, { losses: hard, snapshot: root })).toBeUndefined();
    expect(await ledgerOf(id)).toEqual(['verified', 'verified', 'mismatch', 'mismatch']);
    expect(await eventsOf(id, 'drawMismatch')).toHaveLength(2);
  });

  test('goes on with its plan after a retry, and counts no loss twice', async () => {
    const id = await launched(root);
    const first = await movingRun(api, id);
    for (const epoch of [0, 1]) await first.epoch(epoch, { losses: hard });
    await first.epoch(2, { losses: { a: 9, b: 9 }, draws: 4 });
    const second = await nextAttempt(id, 1);
    expect(second.planned).toEqual(first.planned);
    // From a checkpoint at the end of epoch 0: the switch at 2 was decided, and stays.
    expect(await second.epoch(1, { losses: { a: 100 } })).toEqual({
      digest: first.drawnBy(2),
      fromEpoch: 2,
    });
    await second.epoch(2, { losses: { a: 2, b: 1 } });
    expect((await second.epoch(3, { losses: { b: 3 } }))?.fromEpoch).toBe(4);
    expect(await ledgerOf(id)).toEqual(['verified', 'verified', 'verified', 'verified']);
    // a: half of the 4 before and half of 2; b: half of 1 and half of the mean of 1 and 3.
    const explained = await Promise.all(
      ['a', 'b'].map((name) => get(`snapshots/${second.drawnBy(4)}/cases/${name}`)),
    );
    const said = explained.map(({ terms }) => terms[1].because);
    expect(said).toEqual([
      expect.stringMatching(/^runLoss 3 \(/),
      expect.stringMatching(/^runLoss 1\.5 \(/),
    ]);
    expect(await shiftBetween(first.drawnBy(2), second.drawnBy(4))).toBeLessThanOrEqual(0.05);
  });

  test('decides nothing for an epoch that has begun', async () => {
    const id = await launched(root);
    const first = await movingRun(api, id);
    await first.epoch(0);
    // No losses: there is no evidence, and the job says why it keeps its draws.
    expect(await first.epoch(1)).toBeUndefined();
    expect(await eventsOf(id, 'snapshotKept')).toMatchObject([
      { epoch: 2, cause: 'adaptive', kept: 'no case was seen in 1 draws yet' },
    ]);
    await first.epoch(2, { draws: 4 });
    const second = await nextAttempt(id, 1);
    expect(await second.epoch(1, { losses: hard })).toBeUndefined();
    await second.epoch(2, { from: 4, draws: 4 });
    expect(await ledgerOf(id)).toEqual(['verified', 'verified', 'verified']);
    expect((await second.epoch(3))?.fromEpoch).toBe(4);
  });

  test('lends its children to no other job', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    for (const epoch of [0, 1]) await run.epoch(epoch, { losses: hard });
    const body = { snapshot: run.drawnBy(2), target: 'local', seed: 1, reason: 'test' };
    const answer = await api.call('POST', '/v1/jobs', { ...body, settings: jobSettings });
    expect([answer.status, answer.body.errors[0].pointer]).toEqual([422, '/snapshot']);
    expect(answer.body.detail).toContain('is a child (cause adaptive)');
  });
});

describe('a monitor that reverts', () => {
  const site = (value: number) => [{ name: 'diceMean', value, group: 'site=B' }];
  const monitors = { groupRegression: { action: 'revert', patience: 1 } };
  let root: string;
  beforeAll(async () => {
    root = await freeze(movingRules({ adaptive: { everyEpochs: 1 } }));
  });

  test('brings back the draws before, marks job and child, and ends adapting', async () => {
    const id = await launched(root, monitors);
    const run = await movingRun(api, id);
    await run.epoch(0, { losses: hard, metrics: site(0.9) });
    const announced = await run.epoch(1, { losses: hard, metrics: site(0.5) });
    const [adapted, reverted] = [run.drawnBy(1), run.drawnBy(2)];
    expect(announced).toEqual({ digest: reverted, fromEpoch: 2 });
    expect(await drawsOf(reverted)).toEqual(await drawsOf(root));
    expect(await drawsOf(adapted)).not.toEqual(await drawsOf(root));
    const job = await get(`jobs/${id}`);
    expect(job.validationInformed).toBe(true);
    expect(job.snapshots.map(({ cause }: { cause: string }) => cause)).toEqual([
      'rules',
      'adaptive',
      'revert',
    ]);
    const child = await snapshotOf(reverted);
    expect(child).toMatchObject({ parent: adapted, validationInformed: true });
    expect(child.reason).toMatch(/^monitor groupRegression asked for the draws before: Dice of/);
    const explained = await get(`snapshots/${reverted}/cases/a`);
    expect(explained.mix).toBe(`It draws as ${root} did, whose terms these are.`);
    expect(await run.epoch(2, { losses: hard, metrics: site(0.9) })).toBeUndefined();
    // It fires once more, and there are no draws before those of the root.
    expect(await run.epoch(3, { losses: hard, metrics: site(0.4) })).toBeUndefined();
    expect(await eventsOf(id, 'snapshotKept')).toMatchObject([
      { epoch: 4, cause: 'revert', kept: 'there are no draws before these' },
    ]);
    expect(await ledgerOf(id)).toEqual(['verified', 'verified', 'verified', 'verified']);
  });
});

describe('the audit', () => {
  const findings = async () => (await get('audit/verify?scope=all')).findings;
  const altered = async (table: string, change: SQL) => {
    const { orm } = api.deps.database;
    await orm.execute(sql`alter table ${sql.identifier(table)} disable trigger user`);
    await orm.execute(change);
    await orm.execute(sql`alter table ${sql.identifier(table)} enable trigger user`);
  };

  test('makes every child again and finds nothing', async () => {
    const verdict = await get('audit/verify?scope=all');
    expect(verdict.findings).toEqual([]);
    expect(verdict.snapshots).toBeGreaterThan(8);
  });

  test('finds evidence, a share and a switch that were altered', async () => {
    await altered('snapshot_origins', sql`update snapshot_origins set losses[1] = losses[1] + 1`);
    const wrong: { kind: string; detail: string }[] = await findings();
    expect(wrong.length).toBeGreaterThan(3);
    for (const { kind, detail } of wrong) {
      expect([kind, detail]).toEqual(['snapshot', expect.stringContaining('evidence')]);
    }
    await altered('snapshot_origins', sql`update snapshot_origins set losses[1] = losses[1] - 1`);
    expect(await findings()).toEqual([]);
    await altered(
      'snapshot_origins',
      sql`update snapshot_origins set share = 0.25 where share = 0.5`,
    );
    expect(await findings()).toMatchObject([
      {
        kind: 'snapshot',
        detail: expect.stringMatching(/^its parent, its rules and what is kept/),
      },
    ]);
    await altered(
      'snapshot_origins',
      sql`update snapshot_origins set share = 0.5 where share = 0.25`,
    );
    await altered(
      'job_snapshots',
      sql`update job_snapshots set from_epoch = 7 where from_epoch = 4`,
    );
    const moved: { kind: string; detail: string }[] = await findings();
    expect(moved.map(({ kind }) => kind)).toEqual(moved.map(() => 'job'));
    const details = moved.map(({ detail }) => detail).join('; ');
    expect(details).toMatch(/from epoch 4 on; stored is no switch/);
    expect(details).toMatch(/from epoch 7 on, and no entry says so/);
  });
});
