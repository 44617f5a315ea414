// Whether what a team decided is still what the chain says: approvals, revocations, moves of
// aliases and withdrawals have a row and an entry each, with the same facts.

import type { Deps } from '../../deps.ts';
import { canonicalText } from '../../ids.ts';
import { listEntriesAbout } from '../../store/audit-walk.ts';
import {
  findAliasMove,
  findApproval,
  findRevocation,
  walkAliasMoves,
  walkApprovals,
  walkRevocations,
  walkWithdrawals,
} from '../../store/decisions.ts';
import { listSnapshotNames } from '../../store/jobs.ts';
import { findWithdrawal } from '../../store/withdrawals.ts';
import { type EntryFacts, type Finding, type Findings, factsOf } from './findings.ts';

type Orm = Deps['database']['orm'];

/** What a row says in the words of its entry, and the workspace that it is of. */
type Stored = { workspaceId: string; facts: Record<string, unknown> };

/** A stored row as the subject of its entry, and what in the detail tells it from others. */
type Named = { subject: string; key: string; title: string };

type Decision = {
  kind: Finding['kind'];
  /** The row that an entry is about. */
  find: (orm: Orm, entry: EntryFacts) => Promise<Stored | undefined>;
  /** The same facts as the entry tells them. */
  told: (entry: EntryFacts) => Record<string, unknown>;
  keyOf: (entry: EntryFacts) => string;
  walk: (orm: Orm, workspaceId: string) => AsyncGenerator<Named[]>;
};

type Made = { workspaceId: string; reason: string; createdAt: Date; createdBy: string };

const stored = (row: Made, facts: Record<string, unknown>): Stored => ({
  workspaceId: row.workspaceId,
  facts: { ...facts, reason: row.reason, author: row.createdBy, time: row.createdAt },
});

const told = (entry: EntryFacts, facts: Record<string, unknown>) => ({
  ...facts,
  reason: entry.reason,
  author: entry.actor,
  time: entry.at,
});

async function* named<Row>(
  pages: AsyncGenerator<Row[]>,
  name: (row: Row) => Named,
): AsyncGenerator<Named[]> {
  for await (const page of pages) yield page.map(name);
}

const datasetIdOf = ({ subject }: EntryFacts) => subject.split('/')[1] ?? '';

/** The four actions whose rows are checked, each in both directions. */
const decisions: Record<string, Decision> = {
  'snapshot.approved': {
    kind: 'approval',
    find: async (orm, entry) => {
      const row = await findApproval(orm, String(entry.detail.approval));
      if (row === undefined) return undefined;
      const { snapshotId, snapshotDigest, meaning } = row;
      const of = (await listSnapshotNames(orm, [snapshotId])).get(snapshotId)?.digest;
      return stored(row, { digest: snapshotDigest, snapshot: of, meaning });
    },
    told: (entry) => {
      const digest = entry.subject.replace(/^snapshot\//, '');
      return told(entry, { digest, snapshot: digest, meaning: entry.detail.meaning });
    },
    keyOf: ({ detail }) => String(detail.approval),
    walk: (orm, workspaceId) =>
      named(walkApprovals(orm, workspaceId), ({ id, snapshotDigest }) => ({
        subject: `snapshot/${snapshotDigest}`,
        key: id,
        title: `approval ${id}`,
      })),
  },
  'approval.revoked': {
    kind: 'approval',
    find: async (orm, entry) => {
      const row = await findRevocation(orm, String(entry.detail.approval));
      return row && stored(row, {});
    },
    told: (entry) => told(entry, {}),
    keyOf: ({ detail }) => String(detail.approval),
    walk: (orm, workspaceId) =>
      named(walkRevocations(orm, workspaceId), ({ approvalId, digest }) => ({
        subject: `snapshot/${digest}`,
        key: approvalId,
        title: `the revocation of approval ${approvalId}`,
      })),
  },
  'alias.moved': {
    kind: 'alias',
    find: async (orm, entry) => {
      const [name, number] = [String(entry.detail.name), Number(entry.detail.number)];
      const row = await findAliasMove(orm, { datasetId: datasetIdOf(entry), name, number });
      if (row === undefined) return undefined;
      const folds = Object.entries(Object(row.snapshots)).map(([fold, id]) => [fold, String(id)]);
      const known = await listSnapshotNames(
        orm,
        folds.map(([, id]) => id),
      );
      const to = Object.fromEntries(folds.map(([fold, id]) => [fold, known.get(id)?.digest]));
      return stored(row, { snapshots: to, protection: row.protected, approvals: row.approvals });
    },
    told: (entry) => {
      const { to, protected: protection, approvals } = entry.detail;
      return told(entry, { snapshots: to, protection, approvals });
    },
    keyOf: ({ detail }) => String(detail.number),
    walk: (orm, workspaceId) =>
      named(walkAliasMoves(orm, workspaceId), ({ datasetId, name, number }) => ({
        subject: `alias/${datasetId}/${name}`,
        key: String(number),
        title: `move ${number} of alias "${name}"`,
      })),
  },
  'case.withdrawn': {
    kind: 'withdrawal',
    find: async (orm, entry) => {
      const caseId = String(entry.detail.caseId);
      const row = await findWithdrawal(orm, { datasetId: datasetIdOf(entry), caseId });
      return row && stored(row, {});
    },
    told: (entry) => told(entry, {}),
    keyOf: ({ detail }) => String(detail.caseId),
    walk: (orm, workspaceId) =>
      named(walkWithdrawals(orm, workspaceId), ({ datasetId, caseId }) => ({
        subject: `case/${datasetId}/${caseId}`,
        key: caseId,
        title: `the withdrawal of case "${caseId}"`,
      })),
  },
};

/** Checks the row of an entry, where it is the entry of a decision. */
export async function checkDecision(
  { database }: Pick<Deps, 'database'>,
  { entry, workspaceId }: { entry: EntryFacts; workspaceId: string },
  findings: Findings,
): Promise<void> {
  const decision = decisions[entry.action];
  if (decision === undefined) return;
  const { sequence, subject, action } = entry;
  const add = (detail: string) => findings.add({ kind: decision.kind, subject, sequence, detail });
  const row = await decision.find(database.orm, entry);
  if (row === undefined || row.workspaceId !== workspaceId) {
    add(`entry ${sequence} (${action}) has no row: it was removed, or its key was altered`);
    return;
  }
  const says = decision.told(entry);
  for (const [name, now] of Object.entries(row.facts)) {
    if (canonicalText([now]) === canonicalText([says[name]])) continue;
    add(`the ${name} in the row of entry ${sequence} (${action}) is not the one of the entry`);
  }
}

/** Finds approvals, revocations, moves and withdrawals of which no entry knows. */
export async function checkUnknownDecisions(
  { database }: Pick<Deps, 'database'>,
  workspaceId: string,
  findings: Findings,
): Promise<void> {
  for (const [action, decision] of Object.entries(decisions)) {
    for await (const page of decision.walk(database.orm, workspaceId)) {
      const subjects = [...new Set(page.map(({ subject }) => subject))];
      const about = { workspaceId, actions: [action], subjects };
      const entries = await listEntriesAbout(database.orm, about);
      const known = new Set(
        entries.flatMap((row) => {
          const facts = factsOf(row);
          return facts === null ? [] : [`${row.subject}\n${decision.keyOf(facts)}`];
        }),
      );
      for (const { subject, key, title } of page) {
        if (known.has(`${subject}\n${key}`)) continue;
        findings.add({ kind: decision.kind, subject, detail: `no entry knows of ${title}` });
      }
    }
  }
}
