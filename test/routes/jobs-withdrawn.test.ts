// Launching a snapshot that holds a withdrawn case: refused by name, unless it is accepted with a
// reason, and never by a race.

import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { launchJob } from '../../api/services/jobs/launch.ts';
import { retryJob } from '../../api/services/jobs/retry.ts';
import { must } from '../support/builders.ts';
import { type JobTest, jobSeed, jobSettings, openJobTest } from '../support/jobs.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

let api: JobTest;
/** Cases of the snapshot that no test has withdrawn yet. */
let fresh: string[];
/** Withdrawn cases of the snapshot so far, in id order. */
const withdrawn: string[] = [];
beforeAll(async () => {
  api = await openJobTest();
  const accept = { accept: 'application/json' };
  const path = `/v1/snapshots/${api.snapshot}/cases`;
  const { cases } = await (await api.send('GET', path, undefined, accept)).json();
  fresh = cases.map(({ id }: { id: string }) => id);
});

async function withdraw(caseId = fresh.pop() as string): Promise<string> {
  const body = { caseId, reason: 'consent withdrawn' };
  await must(api, 201, 'POST', '/v1/datasets/phantom/withdrawals', body);
  return caseId;
}
const withdrawOne = async () => {
  withdrawn.push(await withdraw());
  withdrawn.sort();
};

const body = (more: object = {}) => ({
  snapshot: api.snapshot,
  target: 'local',
  seed: jobSeed,
  settings: jobSettings as any,
  reason: 'the protocol allows it',
  ...more,
});
const jobCount = async () => (await api.call('GET', '/v1/jobs?limit=500')).body.items.length;

async function endedJob(): Promise<string> {
  const { id } = await api.launch({ acceptWithdrawn: true });
  await must(api, 200, 'POST', `/v1/jobs/${id}/cancel`);
  api.launcher.observe(api.keyOf(id), { state: 'exited', exit: { code: 0, signal: null } });
  await api.tick();
  return id;
}

async function auditOf(id: string, action: string) {
  const { items } = await must(api, 200, 'GET', `/v1/audit?subject=job/${id}&action=${action}`);
  return items.at(-1);
}

test('a withdrawal on the validation side refuses nothing', async () => {
  await withdraw('case_0005');
  const { id } = await api.launch();
  const entry = await auditOf(id, 'job.launched');
  expect(entry.detail).not.toHaveProperty('acceptedWithdrawn');
});

describe('a snapshot that holds withdrawn cases', () => {
  beforeEach(withdrawOne);

  test('is not launched, nor on a dry run: the refusal names every case, nothing is stored', async () => {
    await withdrawOne();
    const before = [await jobCount(), api.launcher.calls.submit];
    for (const more of [{}, { dryRun: true }, { acceptWithdrawn: false }]) {
      const answer = await api.call('POST', '/v1/jobs', body(more));
      expect(answer.status).toBe(409);
      expect(answer.body.detail).toContain(`${withdrawn.length} withdrawn cases`);
      expect(answer.body.errors.map((one: any) => one.caseId)).toEqual(withdrawn);
    }
    expect([await jobCount(), api.launcher.calls.submit]).toEqual(before);
  });

  test('is launched where they are accepted, and the audit entry says which', async () => {
    const dry = await api.call('POST', '/v1/jobs', body({ dryRun: true, acceptWithdrawn: true }));
    expect(dry.status).toBe(200);
    const answer = await api.call('POST', '/v1/jobs', body({ acceptWithdrawn: true }));
    expect(answer.status).toBe(201);
    const entry = await auditOf(answer.body.id, 'job.launched');
    expect(entry).toMatchObject({
      reason: 'the protocol allows it',
      detail: { acceptedWithdrawn: withdrawn },
    });
    const unsaid = await api.call('POST', '/v1/jobs', body({ acceptWithdrawn: true, reason: ' ' }));
    expect(unsaid.status).toBe(422);
  });

  test('is not retried either, unless they are accepted with a reason', async () => {
    const id = await endedJob();
    const retry = (more: object) => api.call('POST', `/v1/jobs/${id}/retry`, more);
    const refused = await retry({});
    expect([refused.status, refused.body.detail]).toEqual([
      409,
      expect.stringContaining(withdrawn[0]),
    ]);
    const unsaid = await retry({ acceptWithdrawn: true });
    expect([unsaid.status, JSON.stringify(unsaid.body)]).toEqual([
      422,
      expect.stringContaining('/reason'),
    ]);
    expect((await api.read(id)).attempts).toHaveLength(1);
    const accepted = await retry({ acceptWithdrawn: true, reason: 'approved by the board' });
    expect(accepted.status).toBe(200);
    expect(await auditOf(id, 'job.retried')).toMatchObject({
      reason: 'approved by the board',
      detail: { attempt: 2, acceptedWithdrawn: withdrawn },
    });
  });

  test('is not launched or retried when one more is withdrawn at the same moment', async () => {
    const actor = await actorOfToken(api.deps, api.token);
    const id = await endedJob();
    const [jobs, events] = [await jobCount(), api.launcher.calls.submit];
    const input = body({ resources: {}, monitors: {}, acceptWithdrawn: true }) as any;
    const deps = withMeanwhile(api.deps, withdrawOne);
    const conflict = { kind: 'conflict', message: expect.stringContaining('Launch again') };
    await expect(launchJob(deps, actor, input)).rejects.toMatchObject(conflict);
    const again = { id, reason: 'x', acceptWithdrawn: true };
    const retried = retryJob(withMeanwhile(api.deps, withdrawOne), actor, again);
    await expect(retried).rejects.toMatchObject(conflict);
    expect([await jobCount(), api.launcher.calls.submit]).toEqual([jobs, events]);
    expect((await api.read(id)).endedAt).not.toBeNull();
    await launchJob(api.deps, actor, input);
    expect(await jobCount()).toBe(jobs + 1);
  });

  test('with more than twenty: those are named and all are counted', async () => {
    while (withdrawn.length < 23) await withdrawOne();
    const { body: problem } = await api.call('POST', '/v1/jobs', body());
    expect(problem.detail).toContain(`${withdrawn.length} withdrawn cases`);
    expect(problem.detail).toContain(`and ${withdrawn.length - 20} more`);
    expect(problem.errors).toHaveLength(20);
  });
});
