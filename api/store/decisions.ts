// The rows that a team's decisions leave, as a check of the audit chain reads them: one by its key,
// and all of a workspace a page at a time.

import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { AliasMoveRow } from './aliases.ts';
import type { ApprovalRow, RevocationRow } from './approvals.ts';
import { pagesOf } from './audit-walk.ts';
import type { Orm } from './database.ts';
import { aliasMoves, approvalRevocations, approvals, withdrawals } from './schema-teams.ts';
import type { WithdrawalRow } from './withdrawals.ts';

export async function findApproval(orm: Orm, id: string): Promise<ApprovalRow | undefined> {
  return (await orm.select().from(approvals).where(eq(approvals.id, id)))[0];
}

export async function findRevocation(orm: Orm, id: string): Promise<RevocationRow | undefined> {
  const is = eq(approvalRevocations.approvalId, id);
  return (await orm.select().from(approvalRevocations).where(is))[0];
}

export async function findAliasMove(
  orm: Orm,
  { datasetId, name, number }: Pick<AliasMoveRow, 'datasetId' | 'name' | 'number'>,
): Promise<AliasMoveRow | undefined> {
  const [row] = await orm
    .select()
    .from(aliasMoves)
    .where(
      and(
        eq(aliasMoves.datasetId, datasetId),
        eq(aliasMoves.name, name),
        eq(aliasMoves.number, number),
      ),
    );
  return row;
}

export function walkApprovals(orm: Orm, workspaceId: string): AsyncGenerator<ApprovalRow[]> {
  return pagesOf((last, limit) =>
    orm
      .select()
      .from(approvals)
      .where(and(eq(approvals.workspaceId, workspaceId), gt(approvals.id, last?.id ?? '')))
      .orderBy(asc(approvals.id))
      .limit(limit),
  );
}

/** Revocations, each with the digest of the snapshot whose approval it takes back. */
export function walkRevocations(
  orm: Orm,
  workspaceId: string,
): AsyncGenerator<{ approvalId: string; digest: string | null }[]> {
  return pagesOf((last, limit) =>
    orm
      .select({ approvalId: approvalRevocations.approvalId, digest: approvals.snapshotDigest })
      .from(approvalRevocations)
      .leftJoin(approvals, eq(approvals.id, approvalRevocations.approvalId))
      .where(
        and(
          eq(approvalRevocations.workspaceId, workspaceId),
          gt(approvalRevocations.approvalId, last?.approvalId ?? ''),
        ),
      )
      .orderBy(asc(approvalRevocations.approvalId))
      .limit(limit),
  );
}

export function walkAliasMoves(orm: Orm, workspaceId: string): AsyncGenerator<AliasMoveRow[]> {
  const { datasetId, name, number } = aliasMoves;
  return pagesOf((last, limit) =>
    orm
      .select()
      .from(aliasMoves)
      .where(
        and(
          eq(aliasMoves.workspaceId, workspaceId),
          last &&
            sql`(${datasetId}, ${name}, ${number}) > (${last.datasetId}, ${last.name}, ${last.number})`,
        ),
      )
      .orderBy(asc(datasetId), asc(name), asc(number))
      .limit(limit),
  );
}

export function walkWithdrawals(orm: Orm, workspaceId: string): AsyncGenerator<WithdrawalRow[]> {
  const { datasetId, caseId } = withdrawals;
  return pagesOf((last, limit) =>
    orm
      .select()
      .from(withdrawals)
      .where(
        and(
          eq(withdrawals.workspaceId, workspaceId),
          last && sql`(${datasetId}, ${caseId}) > (${last.datasetId}, ${last.caseId})`,
        ),
      )
      .orderBy(asc(datasetId), asc(caseId))
      .limit(limit),
  );
}
