// Draws that a monitor wants back, over HTTP; and the audit, which makes every child again from its
// parent and what is kept of its origin.

import { type SQL, sql } from 'drizzle-orm';
import { beforeAll, describe, expect, test } from 'vitest';
import type { JobTest } from '../support/jobs.ts';
import { jobSettings } from '../support/jobs.ts';
import { movingRules, movingRun, openMoving, readersOf } from '../support/moving.ts';

const epochs = 8;
let api: JobTest;
let freeze: (rules: unknown) => Promise<string>;
let see: ReturnType<typeof readersOf>;
beforeAll(async () => {
  ({ api, freeze } = await openMoving());
  see = readersOf(api);
});

const launched = async (snapshot: string, monitors = {}) =>
  (await api.launch({ snapshot, settings: { ...jobSettings, epochs }, monitors })).id;
const hard = { a: 4, b: 1, c: 1, d: 1, e: 1, f: 1 };

describe('a monitor that reverts', () => {
  const site = (value: number) => [{ name: 'diceMean', value, group: 'site=B' }];
  const monitors = { groupRegression: { action: 'revert', patience: 1 } };
  let root: string;
  let slow: string;
  beforeAll(async () => {
    root = await freeze(movingRules({ adaptive: { everyEpochs: 1 } }));
    slow = await freeze(movingRules());
  });

  test('brings back the draws before, marks job and child, and ends adapting', async () => {
    const id = await launched(root, monitors);
    const run = await movingRun(api, id);
    await run.epoch(0, { losses: hard, metrics: site(0.9) });
    const announced = await run.epoch(1, { losses: hard, metrics: site(0.5) });
    const [adapted, reverted] = [run.drawnBy(1), run.drawnBy(2)];
    expect(announced).toEqual({ digest: reverted, fromEpoch: 2 });
    expect(await see.drawsOf(reverted)).toEqual(await see.drawsOf(root));
    expect(await see.drawsOf(adapted)).not.toEqual(await see.drawsOf(root));
    const job = await see.get(`jobs/${id}`);
    expect(job.validationInformed).toBe(true);
    expect(job.snapshots.map(({ cause }: { cause: string }) => cause)).toEqual([
      'rules',
      'adaptive',
      'revert',
    ]);
    const child = await see.snapshotOf(reverted);
    expect(child).toMatchObject({ parent: adapted, validationInformed: true });
    expect(child.reason).toMatch(/^monitor groupRegression asked for the draws before: Dice of/);
    const explained = await see.get(`snapshots/${reverted}/cases/a`);
    expect(explained.mix).toBe(`It draws as ${root} did, whose terms these are.`);
    expect(await run.epoch(2, { losses: hard, metrics: site(0.9) })).toBeUndefined();
    // It fires once more, and there are no draws before those of the root.
    expect(await run.epoch(3, { losses: hard, metrics: site(0.4) })).toBeUndefined();
    expect(await see.eventsOf(id, 'snapshotKept')).toMatchObject([
      { epoch: 4, cause: 'revert', kept: 'there are no draws before these' },
    ]);
    expect(await see.ledgerOf(id)).toEqual(['verified', 'verified', 'verified', 'verified']);
  });

  test.each([
    ['after the draws of its epoch, from the next epoch on', 2, 3],
    ['in the middle of an epoch, from the one after', 3, 4],
  ])('is heard when it fires %s', async (_, epoch, fromEpoch) => {
    const id = await launched(slow, monitors);
    const run = await movingRun(api, id);
    await run.epoch(0, { losses: hard, metrics: site(0.9) });
    await run.epoch(1, { losses: hard });
    await run.epoch(2, { losses: hard });
    const metrics = site(0.5).map((metric) => ({ ...metric, epoch, step: 12 }));
    const { body } = await api.trainer(id).report({ sequence: 3, metrics });
    const { snapshots, validationInformed } = await see.get(`jobs/${id}`);
    if (fromEpoch === 3) {
      expect(body.snapshot).toEqual({ digest: snapshots[2].digest, fromEpoch });
      expect([snapshots[2].cause, validationInformed]).toEqual(['revert', true]);
      return;
    }
    expect([body.snapshot, snapshots.length, validationInformed]).toEqual([undefined, 2, false]);
    const later = await movingRun(api, id);
    expect((await later.epoch(3, { losses: hard }))?.fromEpoch).toBe(fromEpoch);
    expect((await see.get(`jobs/${id}`)).snapshots[2]).toMatchObject({
      cause: 'revert',
      fromEpoch,
    });
  });
});

describe('the audit', () => {
  const findings = async () => (await see.get('audit/verify?scope=all')).findings;
  const altered = async (table: string, change: SQL) => {
    const { orm } = api.deps.database;
    await orm.execute(sql`alter table ${sql.identifier(table)} disable trigger user`);
    await orm.execute(change);
    await orm.execute(sql`alter table ${sql.identifier(table)} enable trigger user`);
  };

  // A ramp up to epoch 2, then a child by the losses at every second epoch.
  beforeAll(async () => {
    const schedule = { kind: 'ramp', epochs: 2, stages: 2 };
    const id = await launched(await freeze(movingRules({ schedule })));
    const run = await movingRun(api, id);
    for (let epoch = 0; epoch < 5; epoch++) await run.epoch(epoch, { losses: hard });
    const { snapshots } = await see.get(`jobs/${id}`);
    expect(
      snapshots.map((one: { cause: string; fromEpoch: number }) => [one.fromEpoch, one.cause]),
    ).toEqual([
      [0, 'ramp'],
      [1, 'ramp'],
      [2, 'ramp'],
      [4, 'adaptive'],
    ]);
  });

  test('makes every child again and finds nothing', async () => {
    const verdict = await see.get('audit/verify?scope=all');
    expect(verdict.findings).toEqual([]);
    expect(verdict.snapshots).toBeGreaterThan(6);
  });

  test('finds evidence, a share and a switch that were altered', async () => {
    await altered('snapshot_origins', sql`update snapshot_origins set losses[1] = losses[1] + 1`);
    const wrong: { kind: string; detail: string }[] = await findings();
    expect(wrong.length).toBeGreaterThan(1);
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
