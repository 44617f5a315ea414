// Withdrawn cases over HTTP: later snapshots are without them, what was frozen before stays as it
// is, and jobs that still draw one are told.

import { beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { freezeSnapshot } from '../../api/services/snapshots/freeze.ts';
import { runningDigest } from '../../api/weights/digest.ts';
import { committedDataset, frozenSnapshot, must, rules } from '../support/builders.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

const fold0 = { version: 1, split: 'five-fold', fold: 0 };
const frozen = (name: string) => frozenSnapshot(api, { name });
const pathOf = (name: string) => `/v1/datasets/${name}`;

const withdraw = (name: string, caseId: string, reason = 'consent withdrawn') =>
  api.call('POST', `${pathOf(name)}/withdrawals`, { caseId, reason });

const freezeAgain = (name: string, fold = 0) =>
  api.call('POST', `${pathOf(name)}/snapshots`, {
    ...fold0,
    fold,
    ruleSet: 'rare@1',
    reason: 'next run',
  });

async function casesOf(digest: string): Promise<{ id: string }[]> {
  const headers = { accept: 'application/json' };
  const response = await api.send('GET', `/v1/snapshots/${digest}/cases`, undefined, headers);
  return ((await response.json()) as { cases: { id: string }[] }).cases;
}

/** A case on the training side of fold 0 that no rule excludes: quality is 0.4. */
const drawn = 'case_0001';
/** A case on the validation side of fold 0. */
const judged = 'case_0005';

describe('withdrawing a case', () => {
  test('answers what it came too late for, and is in the audit chain with its reason', async () => {
    await frozen('late');
    const answer = await withdraw('late', drawn);
    expect(answer).toEqual({
      status: 201,
      body: {
        caseId: drawn,
        reason: 'consent withdrawn',
        createdAt: api.deps.now().toISOString(),
        createdBy: 'admin',
        snapshots: 1,
        jobs: [],
      },
    });
    const { id } = await must(api, 200, 'GET', pathOf('late'));
    const { items } = await must(api, 200, 'GET', `/v1/audit?subject=case/${id}/${drawn}`);
    expect(items).toMatchObject([
      { actor: 'admin', action: 'case.withdrawn', reason: 'consent withdrawn' },
    ]);
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('counts no snapshot where the case stands on the validation side', async () => {
    await frozen('judged');
    expect((await withdraw('judged', judged)).body.snapshots).toBe(0);
  });

  test('a second time is refused, naming who and when, and stores nothing', async () => {
    await committedDataset(api, { name: 'twice' });
    const first = await withdraw('twice', drawn);
    api.moveClock(1000);
    const second = await withdraw('twice', drawn, 'another reason');
    expect(second.status).toBe(409);
    for (const said of ['admin', first.body.createdAt, 'consent withdrawn', drawn]) {
      expect(second.body.detail).toContain(said);
    }
    const { items } = await must(api, 200, 'GET', `${pathOf('twice')}/withdrawals`);
    expect(items).toMatchObject([{ caseId: drawn, reason: 'consent withdrawn' }]);
    const { body } = await api.call('GET', '/v1/audit?action=case.withdrawn&limit=500');
    expect(body.items.filter((one: any) => one.reason === 'another reason')).toEqual([]);
  });

  test('is refused for a case that was never there, and without a reason', async () => {
    await committedDataset(api, { name: 'refusals' });
    const unknown = await withdraw('refusals', 'case_9999');
    expect([unknown.status, unknown.body.detail]).toEqual([
      404,
      expect.stringContaining('never had a case "case_9999"'),
    ]);
    expect((await withdraw('refusals', drawn, ' ')).status).toBe(422);
    expect((await withdraw('nothing', drawn)).status).toBe(404);
    expect(await must(api, 200, 'GET', `${pathOf('refusals')}/withdrawals`)).toEqual({
      items: [],
      nextCursor: null,
    });
  });

  test('holds for a case that a later version no longer has', async () => {
    await committedDataset(api, { name: 'removed' });
    const versions = `${pathOf('removed')}/versions`;
    await must(api, 201, 'POST', versions, { base: 1, reason: 'less' });
    const line = `${JSON.stringify({ id: drawn, removed: true })}\n`;
    await must(api, 200, 'POST', `${versions}/2/cases`, line);
    expect((await withdraw('removed', drawn)).status).toBe(201);
  });

  test('is listed in case order and in pages, each once', async () => {
    await committedDataset(api, { name: 'listed' });
    for (const id of ['case_0007', 'case_0002', 'case_0011']) await withdraw('listed', id);
    const list = `${pathOf('listed')}/withdrawals?limit=2`;
    const first = await must(api, 200, 'GET', list);
    const second = await must(api, 200, 'GET', `${list}&cursor=${first.nextCursor}`);
    const ids = [...first.items, ...second.items].map((one: any) => one.caseId);
    expect(ids).toEqual(['case_0002', 'case_0007', 'case_0011']);
    expect(second.nextCursor).toBeNull();
  });
});

describe('snapshots', () => {
  test('a later freeze of the same inputs is another snapshot, without the case', async () => {
    const { snapshot: before } = await frozen('later');
    await withdraw('later', drawn);
    const after = await freezeAgain('later');
    expect(after.status).toBe(201);
    expect(after.body.digest).not.toBe(before.digest);
    expect(after.body.excluded).toContainEqual({
      id: drawn,
      reason: 'withdrawn: consent withdrawn',
    });
    const ids = (await casesOf(after.body.digest)).map(({ id }) => id);
    const idsBefore = (await casesOf(before.digest)).map(({ id }) => id);
    expect(ids).toEqual(idsBefore.filter((id) => id !== drawn));
    const again = await freezeAgain('later');
    expect([again.status, again.body.id]).toEqual([200, after.body.id]);
  });

  test('an older one is unchanged: its digest holds and its cases are still explained', async () => {
    const { snapshot: before } = await frozen('older');
    const cases = await casesOf(before.digest);
    await withdraw('older', drawn);
    expect(await must(api, 200, 'GET', `/v1/snapshots/${before.digest}`)).toEqual(before);
    const still = (await casesOf(before.digest)) as any[];
    expect(still).toEqual(cases);
    const running = runningDigest(before.header);
    for (const one of still) {
      running.add(one.id, one.targetUnits, one.drawUnits, one.lossFactor);
    }
    expect(running.digest()).toBe(before.digest);
    const why = await must(api, 200, 'GET', `/v1/snapshots/${before.digest}/cases/${drawn}`);
    expect(why.lossFactor).toBe(still.find(({ id }) => id === drawn).lossFactor);
  });

  test('a withdrawn case is explained by its withdrawal, and the others by what remains', async () => {
    await frozen('explained');
    await withdraw('explained', drawn);
    const { digest } = (await freezeAgain('explained')).body;
    const gone = await api.call('GET', `/v1/snapshots/${digest}/cases/${drawn}`);
    expect([gone.status, gone.body.detail]).toEqual([
      404,
      expect.stringContaining('withdrawn: consent withdrawn'),
    ]);
    await withdraw('explained', 'case_0002', 'later');
    for (const { id } of await casesOf(digest)) {
      await must(api, 200, 'GET', `/v1/snapshots/${digest}/cases/${id}`);
    }
  });

  test('a withdrawal on the validation side gives the snapshot that is there', async () => {
    const { snapshot } = await frozen('other-side');
    await withdraw('other-side', judged);
    const again = await freezeAgain('other-side');
    expect([again.status, again.body.id]).toEqual([200, snapshot.id]);
    const fold1 = await freezeAgain('other-side', 1);
    expect(fold1.body.excluded.map(({ id }: any) => id)).toContain(judged);
  });

  test('the what-if leaves it out; one withdrawn after the what-if is left out too', async () => {
    await frozen('what-if');
    await withdraw('what-if', drawn);
    const path = `${pathOf('what-if')}/what-if`;
    const answer = await must(api, 200, 'POST', path, { ...fold0, rules });
    expect(answer.excluded).toContainEqual({ id: drawn, reason: 'withdrawn: consent withdrawn' });
    await withdraw('what-if', 'case_0002', 'seen late');
    const { body } = await freezeAgain('what-if');
    const left = body.excluded.map(({ id }: any) => id);
    expect(left).toEqual(expect.arrayContaining([drawn, 'case_0002']));
    expect(body.diagnostics.caseCount).toBe(answer.diagnostics.caseCount - 1);
  });

  test('a withdrawal while a snapshot is made refuses the freeze, and nothing is stored', async () => {
    await frozen('meanwhile');
    const deps = withMeanwhile(api.deps, () => withdraw('meanwhile', 'case_0007'));
    const input = {
      ...fold0,
      fold: 1,
      dataset: 'meanwhile',
      ruleSet: 'rare@1',
      reason: 'second fold',
    };
    const actor = await actorOfToken(api.deps, api.token);
    await expect(freezeSnapshot(deps, actor, input)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('withdrawn while the snapshot was made'),
    });
    const { items } = await must(api, 200, 'GET', `${pathOf('meanwhile')}/snapshots`);
    expect(items).toHaveLength(1);
    const { snapshot } = await freezeSnapshot(api.deps, actor, input);
    expect(snapshot.excluded.map(({ id }) => id)).toContain('case_0007');
  });
});

describe('running jobs', () => {
  const eventsOf = async (id: string) => {
    const { items } = await must(api, 200, 'GET', `/v1/jobs/${id}/events?limit=500`);
    return items as { sequence: number; kind: string; detail: object }[];
  };

  test('that draw the case hear of it; others and those that ended do not', async () => {
    const [running, second, ended] = [await api.launch(), await api.launch(), await api.launch()];
    await must(api, 200, 'POST', `/v1/jobs/${ended.id}/cancel`);
    api.launcher.observe(api.keyOf(ended.id), { state: 'exited', exit: { code: 0, signal: null } });
    await api.tick();
    expect((await api.read(ended.id)).endedAt).not.toBeNull();
    const other = (await freezeAgain('phantom', 1)).body.digest;
    const onOther = await api.launch({ snapshot: other });

    const { body } = await withdraw('phantom', 'case_0016'); // on the training side of fold 0 alone
    const told = [running, second].map(({ id }) => id).sort();
    expect(body.jobs.map((job: any) => job.id)).toEqual(told);
    expect(body.jobs[0].state).toBe((await api.read(told[0])).state);
    for (const id of told) {
      const events = await eventsOf(id);
      expect(events.at(-1)).toMatchObject({
        kind: 'caseWithdrawn',
        detail: { caseId: 'case_0016', reason: 'consent withdrawn' },
      });
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, k) => k + 1));
    }
    for (const { id } of [ended, onOther]) {
      expect((await eventsOf(id)).map(({ kind }) => kind)).not.toContain('caseWithdrawn');
    }
  });
});
