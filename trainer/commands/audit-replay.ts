// What a team has decided, told by the audit chain alone: aliases, approvals, withdrawals. The same
// that the service answers, unless somebody changed its tables behind the chain.

import type { ExportedEntry } from './audit-chain.ts';

export type ReplayedAlias = {
  dataset: string;
  name: string;
  number: number;
  /** Fold to the digest of its snapshot. */
  snapshots: Record<string, string>;
  protected: boolean;
  approvals: string[];
  by: string;
  at: string;
};

export type ReplayedApproval = {
  id: string;
  snapshot: string;
  meaning: string;
  by: string;
  at: string;
  revoked: { by: string; at: string; reason: string } | null;
};

export type ReplayedWithdrawal = {
  dataset: string;
  caseId: string;
  reason: string;
  by: string;
  at: string;
};

export type ReplayedState = {
  /** Where each alias stands, by dataset and name. */
  aliases: ReplayedAlias[];
  approvals: ReplayedApproval[];
  withdrawals: ReplayedWithdrawal[];
};

type Facts = {
  at: string;
  actor: string;
  action: string;
  subject: string;
  reason: string;
  detail: Record<string, unknown>;
};

export type Replay = { take: (entry: ExportedEntry) => void; state: () => ReplayedState };

/** Takes entries in order; the state may be asked for at any time. */
export function replayAudit(): Replay {
  const aliases = new Map<string, ReplayedAlias>();
  const approvals = new Map<string, ReplayedApproval>();
  const withdrawals = new Map<string, ReplayedWithdrawal>();
  const actions: Record<string, (facts: Facts) => void> = {
    'alias.moved': ({ subject, detail, actor: by, at }) => {
      const { dataset, name, number, to } = detail as ReplayedAlias & {
        to: ReplayedAlias['snapshots'];
      };
      const { protected: guarded, approvals: ids } = detail as ReplayedAlias;
      aliases.set(subject, {
        dataset,
        name,
        number,
        snapshots: to,
        protected: guarded,
        approvals: ids,
        by,
        at,
      });
    },
    'snapshot.approved': ({ subject, detail, actor: by, at }) => {
      const { approval: id, meaning } = detail as { approval: string; meaning: string };
      const snapshot = subject.replace(/^snapshot\//, '');
      approvals.set(id, { id, snapshot, meaning, by, at, revoked: null });
    },
    'approval.revoked': ({ detail, actor: by, at, reason }) => {
      const known = approvals.get(detail.approval as string);
      if (known !== undefined) known.revoked = { by, at, reason };
    },
    'case.withdrawn': ({ subject, detail, actor: by, at, reason }) => {
      const { dataset, caseId } = detail as { dataset: string; caseId: string };
      withdrawals.set(subject, { dataset, caseId, reason, by, at });
    },
  };
  return {
    take: ({ facts }) => {
      const entry = facts as Facts;
      if (Object.hasOwn(actions, entry.action)) actions[entry.action](entry);
    },
    state: () => ({
      aliases: inOrder(aliases),
      approvals: inOrder(approvals),
      withdrawals: inOrder(withdrawals),
    }),
  };
}

function inOrder<Value>(values: Map<string, Value>): Value[] {
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
