// What the whole deployment has, in numbers: for measurements, across workspaces.

import { sql } from 'drizzle-orm';
import { type Orm, rows } from './database.ts';

export type StateCount = { state: string; target: string; count: number };

export type Counts = {
  jobs: StateCount[];
  attempts: StateCount[];
  /** What webhooks are still to be told, and what they were told in vain. */
  deliveries: { pending: number; dead: number };
  /** The sum of the last sequence numbers of all chains. */
  auditEntries: number;
  /** Chains whose newest entry is not the one that was anchored last. */
  chainsUnanchored: number;
};

/** Takes `orm` of every workspace. */
export async function readCounts(orm: Orm): Promise<Counts> {
  const jobs = await rows<StateCount>(
    orm,
    sql`select state, target, count(*)::int as count from jobs group by state, target`,
  );
  const attempts = await rows<StateCount>(
    orm,
    sql`select a.state, j.target, count(*)::int as count
      from job_attempts a join jobs j on j.id = a.job_id group by a.state, j.target`,
  );
  const [deliveries] = await rows<{ pending: number; dead: number }>(
    orm,
    sql`select count(*) filter (where state = 'pending')::int as pending,
        count(*) filter (where state = 'dead')::int as dead
      from webhook_deliveries where state <> 'delivered'`,
  );
  const [audit] = await rows<{ entries: number | string; unanchored: number | string }>(
    orm,
    sql`select coalesce(sum(head.sequence), 0) as entries,
        count(*) filter (where last.hash is distinct from head.hash) as unanchored
      from workspaces w
      cross join lateral (select e.sequence, e.hash from audit_entries e
        where e.workspace_id = w.id order by e.sequence desc limit 1) head
      left join lateral (select a.hash from audit_anchors a
        where a.workspace_id = w.id order by a.at desc limit 1) last on true`,
  );
  return {
    jobs,
    attempts,
    deliveries,
    auditEntries: Number(audit.entries),
    chainsUnanchored: Number(audit.unanchored),
  };
}
