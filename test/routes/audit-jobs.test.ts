// What a job's life leaves in the audit chain, and that every entry names who did it.

import { expect, test } from 'vitest';
import { must } from '../support/builders.ts';
import { ledgerRange, openJobTest } from '../support/jobs.ts';

const wrong = 'f'.repeat(64);

test('every write of a job has its entry, with the actor whose token it was', async () => {
  const jobs = await openJobTest();
  const { id } = await jobs.launch();
  const trainer = jobs.trainer(id);
  const range = await ledgerRange(jobs, { epoch: 0 });
  await trainer.report({ sequence: 0, ledger: [{ ...range, digest: `sha256:${wrong}` }] });
  await jobs.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'its draws are wrong' });
  jobs.launcher.observe(jobs.keyOf(id), { state: 'exited', exit: { code: 0, signal: null } });
  await jobs.tick();
  const { items } = await must(jobs, 200, 'GET', `/v1/audit?subject=job/${id}`);
  const entries = items.map(({ actor, action }: any) => [action, actor]);
  expect(entries).toEqual([
    ['job.launched', 'admin'],
    ['job.draw-mismatch', `trainer of job ${id}`],
    ['job.cancelled', 'admin'],
    ['job.ended', 'service'],
  ]);
  expect(await must(jobs, 200, 'GET', '/v1/audit/verify')).toMatchObject({ ok: true });
  await jobs.database.close();
});
