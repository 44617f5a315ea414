// Agents of a target and the attempts that they hold. Claims of one target in one workspace follow
// each other, so that two agents neither get the same attempt nor fill a target twice.

import { and, asc, count, eq, gt, isNotNull, isNull, lt, lte, ne, or, sql } from 'drizzle-orm';
import {
  type AttemptKey,
  type AttemptRow,
  attemptIs,
  type JobAttempt,
  withJob,
} from './attempts.ts';
import type { Orm } from './database.ts';
import { insertEvent } from './job-events.ts';
import { agents, jobAttempts, jobs } from './schema-jobs.ts';

export type AgentRow = typeof agents.$inferSelect;
export type AgentKey = Pick<AgentRow, 'workspaceId' | 'target' | 'name'>;

/** Attempts that one answer adds at most. */
const mostAtOnce = 100;

export async function findAgent(
  orm: Orm,
  { workspaceId, target, name }: AgentKey,
): Promise<AgentRow | undefined> {
  const [row] = await orm
    .select()
    .from(agents)
    .where(
      and(eq(agents.workspaceId, workspaceId), eq(agents.target, target), eq(agents.name, name)),
    );
  return row;
}

/** The agents of a target, of one workspace or of all; the one that was heard last first. */
export async function listAgents(
  orm: Orm,
  { target, workspaceId }: { target: string; workspaceId?: string },
): Promise<AgentRow[]> {
  const rows = await orm
    .select()
    .from(agents)
    .where(
      and(
        eq(agents.target, target),
        workspaceId === undefined ? undefined : eq(agents.workspaceId, workspaceId),
      ),
    );
  return rows.sort((a, b) => b.seenAt.getTime() - a.seenAt.getTime());
}

export type NewClaim = {
  agent: Omit<AgentRow, 'findings'> & { findings?: AgentRow['findings'] };
  /** Heard before this moment, an agent is silent. */
  silentBefore: Date;
  /** Live attempts that the agent, and all agents of the target together, hold at most. */
  most: number;
  jobsAtOnce: number;
};

/**
 * Notes that an agent was heard, and gives it the oldest attempts that wait, as many as there is
 * room for. What a silent agent claimed and nobody can have launched waits again.
 */
export async function moveToClaimed(orm: Orm, claim: NewClaim): Promise<void> {
  const { agent, most, jobsAtOnce } = claim;
  const { workspaceId, target, name, seenAt: at } = agent;
  await orm.transaction(async (tx) => {
    const lock = `agents/${workspaceId}/${target}`;
    await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${lock}, 0))`);
    await upsertAgent(tx, agent);
    const own = and(ofTarget(agent), eq(jobAttempts.agent, name), isNull(jobAttempts.endedAt));
    await tx.update(jobAttempts).set({ agentHeardAt: at }).where(own);
    const held = await countHeld(tx, claim);
    const room = Math.min(most - held.own, jobsAtOnce - held.all, mostAtOnce);
    if (room <= 0) return;
    for (const { attempt } of await listWaiting(tx, claim, room)) {
      await tx
        .update(jobAttempts)
        .set({ agent: name, agentHeardAt: at, agentWord: null })
        .where(attemptIs(attempt));
      const from = attempt.agent === null ? {} : { from: attempt.agent };
      const detail = { attempt: attempt.attempt, agent: name, ...from };
      await insertEvent(tx, { jobId: attempt.jobId, at, kind: 'claimed', detail });
    }
  });
}

async function upsertAgent(tx: Orm, agent: NewClaim['agent']): Promise<void> {
  const { version, seenAt, findings } = agent;
  await tx
    .insert(agents)
    .values({ ...agent, findings: findings ?? [] })
    .onConflictDoUpdate({
      target: [agents.workspaceId, agents.target, agents.name],
      set: { version, seenAt, ...(findings === undefined ? {} : { findings }) },
    });
}

const ofTarget = ({ workspaceId, target }: Omit<AgentKey, 'name'>) =>
  sql`exists (select 1 from ${jobs} where ${jobs.id} = ${jobAttempts.jobId}
    and ${jobs.workspaceId} = ${workspaceId} and ${jobs.target} = ${target})`;

// With a token it may have been launched: then it stays with its agent while that is heard, or once
// its trainer has spoken. Another one's token would replace the first, which can write no more.
const isFree = ({ agent, silentBefore }: NewClaim) =>
  or(
    isNull(jobAttempts.agent),
    and(
      ne(jobAttempts.agent, agent.name),
      lt(jobAttempts.agentHeardAt, silentBefore),
      isNull(jobAttempts.handle),
      isNull(jobAttempts.lastContactAt),
      or(isNull(jobAttempts.submitLeaseUntil), lt(jobAttempts.submitLeaseUntil, agent.seenAt)),
    ),
  );

async function countHeld(tx: Orm, claim: NewClaim): Promise<{ own: number; all: number }> {
  const [held] = await tx
    .select({
      all: count(),
      own: sql<number>`count(*) filter (where ${jobAttempts.agent} = ${claim.agent.name})::int`,
    })
    .from(jobAttempts)
    .where(and(ofTarget(claim.agent), isNull(jobAttempts.endedAt), sql`not (${isFree(claim)})`));
  return held;
}

async function listWaiting(tx: Orm, claim: NewClaim, room: number): Promise<JobAttempt[]> {
  const { workspaceId, target, seenAt } = claim.agent;
  return await withJob(tx)
    .where(
      and(
        eq(jobs.workspaceId, workspaceId),
        eq(jobs.target, target),
        isNull(jobAttempts.endedAt),
        isNull(jobAttempts.handle),
        isFree(claim),
        isNull(jobs.cancelRequestedAt),
        or(isNull(jobAttempts.notBefore), lte(jobAttempts.notBefore, seenAt)),
      ),
    )
    .orderBy(asc(jobs.id))
    .limit(room)
    .for('update', { of: jobAttempts, skipLocked: true });
}

/** What an agent holds: what has not ended, and what ended and may be left on its engine. */
export async function listHeld(
  orm: Orm,
  { workspaceId, target, name, endedSince }: AgentKey & { endedSince: Date },
): Promise<JobAttempt[]> {
  return await withJob(orm)
    .where(
      and(
        eq(jobs.workspaceId, workspaceId),
        eq(jobs.target, target),
        eq(jobAttempts.agent, name),
        isNull(jobAttempts.cleanedAt),
        or(
          isNull(jobAttempts.endedAt),
          and(isNotNull(jobAttempts.tokenDigest), gt(jobAttempts.endedAt, endedSince)),
        ),
      ),
    )
    .orderBy(asc(jobs.id), asc(jobAttempts.attempt));
}

export async function findAttemptByLaunchKey(
  orm: Orm,
  { workspaceId, launchKey }: { workspaceId: string; launchKey: string },
): Promise<JobAttempt | undefined> {
  const [found] = await withJob(orm).where(
    and(eq(jobs.workspaceId, workspaceId), eq(jobAttempts.launchKey, launchKey)),
  );
  return found;
}

/** Notes what an agent says of an attempt; false where it does not hold it. */
export async function moveAgentWord(
  orm: Orm,
  {
    key,
    agent,
    at,
    word,
  }: { key: AttemptKey; agent: string; at: Date; word?: AttemptRow['agentWord'] },
): Promise<boolean> {
  const noted = await orm
    .update(jobAttempts)
    .set({ agentHeardAt: at, ...(word === undefined ? {} : { agentWord: word }) })
    .where(and(attemptIs(key), eq(jobAttempts.agent, agent)))
    .returning({ agent: jobAttempts.agent });
  return noted.length > 0;
}
