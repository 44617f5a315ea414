// Whether a job is still what its audit entries say: what was launched, and the draws it reported.

import type { Deps } from '../../deps.ts';
import { canonicalText } from '../../ids.ts';
import { genesisHash } from '../../store/audit.ts';
import { listEntriesAbout, walkJobIds } from '../../store/audit-walk.ts';
import { type LedgerHead, ledgerHash, walkLedger } from '../../store/draw-ledger.ts';
import { findJob, type JobRow } from '../../store/jobs.ts';
import { findSnapshotById } from '../../store/snapshots.ts';
import { type EntryFacts, type Findings, factsOf } from './findings.ts';

type Audited = { workspaceId: string; id: string };

/** Checks what one entry `job.launched` vouches for. */
export async function checkLaunched(
  { database }: Pick<Deps, 'database'>,
  { entry, workspaceId }: { entry: EntryFacts; workspaceId: string },
  findings: Findings,
): Promise<void> {
  const { subject, sequence } = entry;
  const add = (detail: string) => findings.add({ kind: 'job', subject, sequence, detail });
  const id = subject.replace(/^job\//, '');
  const job = await findJob(database.orm, { workspaceId, id });
  if (job === undefined) {
    add(`entry ${sequence} says that this job was launched, and it is not stored`);
    return;
  }
  const { snapshot, ...told } = entry.detail;
  const stored = await findSnapshotById(database.orm, job.snapshotId);
  const facts = [
    ['snapshot', stored?.digest, snapshot],
    ...(['target', 'image', 'seed', 'settings'] as const).map((name) => [
      name,
      job[name],
      told[name],
    ]),
    ['reason', job.reason, entry.reason],
    ['author', job.createdBy, entry.actor],
  ];
  for (const [name, now, then] of facts) {
    if (canonicalText([now]) === canonicalText([then])) continue;
    add(`its ${name} is not the one that entry ${sequence} says it was launched with`);
  }
}

type Ending = LedgerHead & { sequence: number; older: number };

/** The ends of a job's ledger as its entries `job.ended` keep them, and how the job stands. */
type Standing = { launched: boolean; ended: boolean; ends: number; endings: Ending[] };

async function standingOf(
  { database }: Pick<Deps, 'database'>,
  { workspaceId, id }: Audited,
): Promise<{ job: JobRow | undefined; standing: Standing }> {
  const job = await findJob(database.orm, { workspaceId, id });
  const actions = ['job.launched', 'job.ended'];
  const about = { workspaceId, actions, subjects: [`job/${id}`] };
  const entries = await listEntriesAbout(database.orm, about);
  const ends = entries.filter(({ action }) => action === 'job.ended');
  const endings = ends.flatMap((row) => {
    const ledger = factsOf(row)?.detail.ledger as (LedgerHead & { older?: number }) | undefined;
    const { rows, hash, older = 0 } = ledger ?? {};
    if (rows === undefined || hash === undefined) return [];
    return [{ sequence: row.sequence, rows, hash, older }];
  });
  const launched = entries.some(({ action }) => action === 'job.launched');
  const ended = job !== undefined && job.endedAt !== null;
  return { job, standing: { launched, ended, ends: ends.length, endings } };
}

/** Checks every stored job and its ledger; answers how many ledger rows it read. */
export async function checkJobs(
  deps: Pick<Deps, 'database'>,
  workspaceId: string,
  findings: Findings,
): Promise<number> {
  let rows = 0;
  for await (const page of walkJobIds(deps.database.orm, workspaceId)) {
    for (const { id } of page) {
      const { faults, count } = await checkedJob(deps, { workspaceId, id });
      rows += count;
      for (const fault of faults) findings.add({ ...fault, subject: `job/${id}` });
    }
  }
  return rows;
}

type JobFault = { kind: 'job' | 'ledger'; sequence?: number; detail: string };

/** A job that ends or goes on while its ledger is read is read again. */
const readings = 5;

async function checkedJob(deps: Pick<Deps, 'database'>, audited: Audited) {
  let { standing } = await standingOf(deps, audited);
  for (let reading = 1; ; reading++) {
    const ledger = await ledgerFaults(deps, audited.id, standing);
    const after = await standingOf(deps, audited);
    const same = JSON.stringify(after) === JSON.stringify({ job: after.job, standing });
    if (!same && reading < readings) {
      standing = after.standing;
      continue;
    }
    const faults: JobFault[] = [];
    if (!standing.launched) {
      faults.push({ kind: 'job', detail: 'it is stored, and no entry says that it was launched' });
    }
    if (standing.ended && standing.ends === 0) {
      faults.push({ kind: 'job', detail: 'it has ended, and no entry says so' });
    }
    return { faults: [...faults, ...ledger.faults], count: ledger.count };
  }
}

async function ledgerFaults(
  { database }: Pick<Deps, 'database'>,
  id: string,
  { ended, endings }: Standing,
): Promise<{ faults: JobFault[]; count: number }> {
  const faults: JobFault[] = [];
  const add = (detail: string, sequence?: number) => {
    if (faults.length < 20) faults.push({ kind: 'ledger', sequence, detail });
  };
  let hash = genesisHash;
  let [count, older] = [0, 0];
  const last = endings.at(-1);
  for await (const row of walkLedger(database.orm, id)) {
    const place = `ledger row ${row.sequence} (epoch ${row.epoch}) of job ${id}`;
    const found = await ledgerHash(hash, row);
    count++;
    if (row.hash === null && older === count - 1) older++;
    else if (row.hash === null) add(`${place} has lost its hash`);
    else if (row.hash !== found) {
      add(`${place} was altered, or one before it: its hash does not follow`);
    }
    hash = row.hash ?? found;
    for (const { rows, sequence, ...end } of endings) {
      if (rows !== count) continue;
      const same = hash === end.hash && older === end.older;
      if (!same)
        add(`${place} is not where entry ${sequence} says that the ledger ended`, sequence);
    }
    if (ended && last !== undefined && count > last.rows) {
      add(`${place} is stored, and entry ${last.sequence} ends the ledger before it`);
    }
  }
  for (const { rows, sequence } of endings) {
    if (rows <= count) continue;
    add(
      `entry ${sequence} says that job ${id} had ${rows} ledger rows; there are ${count}`,
      sequence,
    );
  }
  return { faults, count };
}
