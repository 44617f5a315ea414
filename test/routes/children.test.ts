// Children over HTTP: a job whose draws change between epochs, as a ramp or by its own losses; what
// its trainer and its readers see of it.

import { beforeAll, describe, expect, test } from 'vitest';
import { must } from '../support/builders.ts';
import type { JobTest } from '../support/jobs.ts';
import { jobSettings, ledgerRange } from '../support/jobs.ts';
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
    expect(await see.drawsOf(start.digest)).toEqual(await see.targetsOf(root));
    expect((await run.epoch(0))?.fromEpoch).toBe(1);
    expect((await run.epoch(1))?.fromEpoch).toBe(2);
    for (const epoch of [2, 3]) expect(await run.epoch(epoch)).toBeUndefined();
    expect(await see.drawsOf(run.drawnBy(2))).toEqual(await see.drawsOf(root));
    const [half, whole] = [
      await see.shiftBetween(run.drawnBy(0), run.drawnBy(1)),
      await see.shiftBetween(run.drawnBy(0), root),
    ];
    expect(half).toBeCloseTo(whole / 2, 12);
    expect(await see.ledgerOf(id)).toEqual(['verified', 'verified', 'verified', 'verified']);
    expect((await see.get(`jobs/${id}`)).snapshots).toEqual(
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
    const child = await see.snapshotOf(one.drawnBy(1));
    expect(child).toMatchObject({
      parent: one.drawnBy(0),
      reason: 'a ramp over 2 epochs in 2 stages stands at 0.500 in epoch 1',
      header: { cause: 'ramp', parentDigest: one.drawnBy(0), evidenceDigest: null },
      validationInformed: false,
    });
    expect((await see.snapshotOf(one.drawnBy(0))).parent).toBe(root);
    for (const id of [first, second]) {
      expect(await see.eventsOf(id, 'snapshotSwitched')).toMatchObject([
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
    const explained = await see.get(`snapshots/${run.drawnBy(1)}/cases/f`);
    const final = await see.get(`snapshots/${root}/cases/f`);
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
    expect(await see.shiftBetween(root, child)).toBeCloseTo(0.05, 10);
    expect(await see.shiftBetween(root, child)).toBeLessThanOrEqual(0.05);
    expect(await see.targetsOf(child)).toEqual(await see.targetsOf(root));
    const stored = await see.snapshotOf(child);
    expect(stored.header).toMatchObject({ cause: 'adaptive', parentDigest: root });
    expect(stored.header.evidenceDigest).toMatch(/^sha256:/);
    expect(stored.reason).toBe(`losses that job ${id} reported of its cases in epochs 0 to 1`);
    const explained = await see.get(`snapshots/${child}/cases/a`);
    const term = explained.terms.find(({ name }: { name: string }) => name === 'hard');
    expect(term.because).toMatch(/^runLoss 3 \(/); // the mean of 4 and 2
    expect(term.factor).toBeGreaterThan(1);
    expect(explained.mix).toMatch(/"runLoss" is what the run itself reported.*reaches 0\.05/);
    const before = await see.get(`snapshots/${root}/cases/a`);
    expect(before.terms[1]).toMatchObject({ name: 'hard', factor: 1 });
    expect(explained.drawProbability).toBeGreaterThan(before.drawProbability);
  });

  test('answers the same switch to a repeated report, and stores it once', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    await run.epoch(0, { losses: hard });
    const announced = await run.epoch(1, { losses: hard });
    expect(await run.again()).toEqual(announced);
    expect(await see.eventsOf(id, 'snapshotSwitched')).toHaveLength(1);
    // A report in passing, before the next epoch has ended, says it again and decides nothing.
    const { status, body } = await api.trainer(id).report({ sequence: 9 });
    expect([status, body.snapshot]).toEqual([200, announced]);
  });

  test('whose trainer sends a report twice at once has one switch, and one answer', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    await run.epoch(0, { losses: hard });
    const range = await ledgerRange(api, { epoch: 1, snapshot: root });
    const body = { sequence: 1, ledger: [range] };
    const answers = await Promise.all([1, 2, 3].map(() => api.trainer(id).report(body)));
    const announced = answers.map((answer) => answer.body.snapshot);
    expect(announced[0]).toMatchObject({ fromEpoch: 2 });
    expect(announced).toEqual([announced[0], announced[0], announced[0]]);
    expect(await see.eventsOf(id, 'snapshotSwitched')).toHaveLength(1);
  });

  test('that goes on drawing by the old snapshot is a mismatch, and moves no more', async () => {
    const id = await launched(root);
    const run = await movingRun(api, id);
    for (const epoch of [0, 1]) await run.epoch(epoch, { losses: hard });
    await run.epoch(2, { losses: hard, snapshot: root });
    expect(await run.epoch(3, { losses: hard, snapshot: root })).toBeUndefined();
    expect(await see.ledgerOf(id)).toEqual(['verified', 'verified', 'mismatch', 'mismatch']);
    expect(await see.eventsOf(id, 'drawMismatch')).toHaveLength(2);
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
    expect(await see.ledgerOf(id)).toEqual(['verified', 'verified', 'verified', 'verified']);
    // a: half of the 4 before and half of 2; b: half of 1 and half of the mean of 1 and 3.
    const explained = await Promise.all(
      ['a', 'b'].map((name) => see.get(`snapshots/${second.drawnBy(4)}/cases/${name}`)),
    );
    const said = explained.map(({ terms }) => terms[1].because);
    expect(said).toEqual([
      expect.stringMatching(/^runLoss 3 \(/),
      expect.stringMatching(/^runLoss 1\.5 \(/),
    ]);
    expect(await see.shiftBetween(first.drawnBy(2), second.drawnBy(4))).toBeLessThanOrEqual(0.05);
  });

  test('decides nothing for an epoch that has begun', async () => {
    const id = await launched(root);
    const first = await movingRun(api, id);
    await first.epoch(0);
    // No losses: there is no evidence, and the job says why it keeps its draws.
    expect(await first.epoch(1)).toBeUndefined();
    expect(await see.eventsOf(id, 'snapshotKept')).toMatchObject([
      { epoch: 2, cause: 'adaptive', kept: 'no case was seen in 1 draws yet' },
    ]);
    await first.epoch(2, { draws: 4 });
    const second = await nextAttempt(id, 1);
    expect(await second.epoch(1, { losses: hard })).toBeUndefined();
    await second.epoch(2, { from: 4, draws: 4 });
    expect(await see.ledgerOf(id)).toEqual(['verified', 'verified', 'verified']);
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
