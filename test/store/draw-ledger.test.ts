// The chain of a job's draw ledger: every row follows from the one before, and the entry of the
// job's end keeps the last hash, once, whoever ends it.

import { createHash } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { genesisHash } from '../../api/store/audit.ts';
import { ledgerHead, listLedger } from '../../api/store/draw-ledger.ts';
import { must } from '../support/builders.ts';
import { type JobTest, ledgerRange, openJobTest } from '../support/jobs.ts';

let jobs: JobTest;
beforeAll(async () => {
  jobs = await openJobTest();
});
afterAll(() => jobs.database.close());

/** Launches a job, reports `reports` lists of epochs, and says that its process has ended. */
async function ranJob(reports: number[][], id?: string): Promise<string> {
  const job = id ?? (await jobs.launch()).id;
  const attempt = (await jobs.read(job)).attempts.length;
  const trainer = jobs.trainer(job, attempt);
  for (const [sequence, epochs] of reports.entries()) {
    const ledger = await Promise.all(epochs.map((epoch) => ledgerRange(jobs, { epoch })));
    expect((await trainer.report({ sequence, ledger })).status).toBe(200);
  }
  const exit = { code: 1, signal: null };
  jobs.launcher.observe(jobs.keyOf(job, attempt), { state: 'exited', exit });
  return job;
}

const endings = async (id: string) =>
  (await must(jobs, 200, 'GET', `/v1/audit?subject=job/${id}&action=job.ended`)).items;

/** The chain again, from what the table says. */
async function chainOf(id: string): Promise<string[]> {
  let hash = genesisHash;
  return (await listLedger(jobs.database.orm, id)).map((row) => {
    const keys = [
      ['at', row.at.toISOString()],
      ['attempt', row.attempt],
      ['digest', row.digest],
      ['draws', row.draws],
      ['epoch', row.epoch],
      ['fromDraw', row.fromDraw],
      ['jobId', row.jobId],
      ['matches', row.matches],
      ['sequence', row.sequence],
      ['snapshotDigest', row.snapshotDigest],
    ];
    const text = `{${keys.map(([key, value]) => `"${key}":${JSON.stringify(value)}`)}}`;
    hash = `sha256:${createHash('sha256').update(`${hash}\n${text}`).digest('hex')}`;
    return hash;
  });
}

test('rows of several reports are one chain, and the end keeps its last hash', async () => {
  const id = await ranJob([[0], [0, 1]]);
  await Promise.all([jobs.tick(), jobs.tick()]);
  const chain = await chainOf(id);
  const stored = await listLedger(jobs.database.orm, id);
  expect(stored.map(({ hash }) => hash)).toEqual(chain);
  expect(chain).toHaveLength(3);
  const ended = await endings(id);
  expect(ended).toHaveLength(1);
  expect(ended[0].detail.ledger).toEqual({ rows: 3, hash: chain[2] });
});

test('a job that drew nothing ends with an empty ledger', async () => {
  const id = await ranJob([]);
  await jobs.tick();
  const [{ detail }] = await endings(id);
  expect(detail.ledger).toEqual({ rows: 0, hash: genesisHash });
});

test('another attempt goes on where the ledger was, and its end keeps the longer one', async () => {
  const id = await ranJob([[0]]);
  await jobs.tick();
  await must(jobs, 200, 'POST', `/v1/jobs/${id}/retry`, { reason: 'again' });
  await ranJob([[1]], id);
  await jobs.tick();
  const chain = await chainOf(id);
  const heads = (await endings(id)).map(({ detail }: any) => detail.ledger);
  expect(heads).toEqual(chain.map((hash, k) => ({ rows: k + 1, hash })));
  expect(heads).toHaveLength(2);
});

test('rows from before there were hashes are chained as they lie', async () => {
  const id = await ranJob([[0], [0]]);
  const { orm } = jobs.database;
  await orm.execute(sql`alter table draw_ledger disable trigger user`);
  await orm.execute(sql`update draw_ledger set hash = null where job_id = ${id}`);
  await orm.execute(sql`alter table draw_ledger enable trigger user`);
  const before = await chainOf(id);
  expect(await ledgerHead(orm, id)).toEqual({ rows: 2, hash: before[1], older: 2 });
  const ledger = [await ledgerRange(jobs, { epoch: 1 })];
  expect((await jobs.trainer(id).report({ sequence: 9, ledger })).status).toBe(200);
  const stored = await listLedger(orm, id);
  expect(stored.map(({ hash }) => hash)).toEqual([null, null, (await chainOf(id))[2]]);
});
