// Whether a frozen snapshot is still what its audit entry says: its row, every chunk, its digest.

import type { SnapshotHeader } from '../../contract/snapshots.ts';
import type { Deps } from '../../deps.ts';
import { sha256Text } from '../../ids.ts';
import { listEntriesAbout, walkSnapshotNames, walkStoredChunks } from '../../store/audit-walk.ts';
import { findSnapshotById, recordText, type SnapshotRow } from '../../store/snapshots.ts';
import { digestOfChunks, vectorsDigest } from '../../store/vector-digests.ts';
import { runningDigest } from '../../weights/digest.ts';
import { type EntryFacts, type Findings, factsOf } from './findings.ts';

type Frozen = { id: string; digest: string; vectors?: string; record?: string };

/** What says that a snapshot was frozen: by a person, or by a job that switched to it. */
export const frozenActions = ['snapshot.frozen', 'snapshot.child-frozen'];

/** Checks what one entry of `frozenActions` vouches for; answers how many chunks it read. */
export async function checkFrozen(
  { database }: Deps,
  { entry, workspaceId }: { entry: EntryFacts; workspaceId: string },
  findings: Findings,
): Promise<number> {
  const { subject, sequence } = entry;
  const add = (detail: string) => findings.add({ kind: 'snapshot', subject, sequence, detail });
  const digest = subject.replace(/^snapshot\//, '');
  const frozen = { ...(entry.detail as Frozen), digest };
  const row = await findSnapshotById(database.orm, frozen.id ?? '');
  if (row === undefined || row.workspaceId !== workspaceId) {
    add(`entry ${sequence} says that this snapshot was frozen, and it is not stored`);
    return 0;
  }
  for (const detail of await rowFaults(row, entry, frozen)) add(detail);
  return await checkChunks({ database }, { row, entry, frozen }, findings);
}

async function rowFaults(row: SnapshotRow, entry: EntryFacts, frozen: Frozen): Promise<string[]> {
  const header = headerOf(row);
  const faults: string[] = [];
  if (row.digest !== frozen.digest) faults.push(`its row says ${row.digest}`);
  if (String(header.fold) !== row.fold || header.split !== row.split) {
    faults.push('its row and its header name different folds');
  }
  if (frozen.record !== undefined) {
    const same = frozen.record === (await sha256Text(recordText(row)));
    if (!same) faults.push(`a column of its row is not what entry ${entry.sequence} vouches for`);
  } else if (row.reason !== entry.reason || row.createdBy !== entry.actor) {
    // An entry that is older than `record` vouches for these alone.
    faults.push(`its author or reason is not the one of entry ${entry.sequence}`);
  }
  return faults;
}

// Somebody may have stored anything there.
const headerOf = (row: SnapshotRow): Partial<SnapshotHeader> => Object(row.header);

async function checkChunks(
  { database }: Pick<Deps, 'database'>,
  { row, entry, frozen }: { row: SnapshotRow; entry: EntryFacts; frozen: Frozen },
  findings: Findings,
): Promise<number> {
  const { subject, sequence } = entry;
  const running = runningDigest(row.header);
  const digests: string[] = [];
  let [chunks, cases] = [0, 0];
  let whole = true;
  for await (const { chunk, ids, digest, vectors } of walkStoredChunks(database.orm, row.id)) {
    const add = (detail: string) => {
      whole = false;
      findings.add({ kind: 'chunk', subject, sequence, chunk, detail });
    };
    const place = `chunk ${chunk} (from case "${ids[0]}" on)`;
    if (chunk !== chunks) add(`${place} stands where chunk ${chunks} should be`);
    chunks++;
    cases += ids.length;
    if (vectors === null) {
      add(`${place}: a vector is no list of numbers`);
      continue;
    }
    if (Object.values(vectors).some(({ length }) => length !== ids.length)) {
      add(`${place}: a vector has not one number for each of its ${ids.length} cases`);
    }
    const found = await vectorsDigest(vectors);
    digests.push(found);
    const kept = digest ?? (frozen.vectors === undefined ? found : 'none');
    if (kept !== found) add(`${place}: its vectors give ${found}, its digest is ${kept}`);
    for (const [k, id] of ids.entries()) {
      running.add(id, vectors.targetUnits[k], vectors.drawUnits[k], vectors.lossFactors[k]);
    }
  }
  const add = (detail: string) => findings.add({ kind: 'snapshot', subject, sequence, detail });
  if (cases !== headerOf(row).caseCount) {
    add(`its header says ${headerOf(row).caseCount} cases, its chunks hold ${cases}`);
  }
  if (running.digest() !== frozen.digest) {
    add(`header and chunks give the digest ${running.digest()}`);
  }
  const told = frozen.vectors === undefined || frozen.vectors === (await digestOfChunks(digests));
  if (whole && !told) add(`its vectors are not those that entry ${sequence} vouches for`);
  return chunks;
}

/** Finds snapshots that no entry says were frozen; answers how many snapshots there are. */
export async function checkUnknownSnapshots(
  { database }: Deps,
  workspaceId: string,
  findings: Findings,
): Promise<number> {
  let count = 0;
  for await (const names of walkSnapshotNames(database.orm, workspaceId)) {
    count += names.length;
    const subjects = names.map(({ digest }) => `snapshot/${digest}`);
    const about = { workspaceId, actions: frozenActions, subjects };
    const entries = await listEntriesAbout(database.orm, about);
    const known = new Set(entries.map((row) => factsOf(row)?.detail.id));
    for (const { id, digest } of names) {
      if (known.has(id)) continue;
      const detail = `snapshot ${id} is stored, and no entry says that it was frozen`;
      findings.add({ kind: 'snapshot', subject: `snapshot/${digest}`, detail });
    }
  }
  return count;
}
