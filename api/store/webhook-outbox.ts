// What webhooks are to be told: written in the transaction of the audit entry, so that a change and
// the news of it exist together or not at all.

import { sql } from 'drizzle-orm';
import type { WebhookEvent } from '../contract/webhooks.ts';
import type { Orm } from './database.ts';

/** Detail over this many characters is left out; it stands in the audit entry. */
const longestData = 60_000;

type Entry = Omit<WebhookEvent, 'id' | 'type' | 'createdAt' | 'workspace' | 'data'> & {
  workspaceId: string;
  at: Date;
  action: string;
  sequence: number;
  detail: Record<string, unknown>;
};

/** The id and the body of the event that tells of an entry. */
export function eventOf(entry: Entry): { id: string; body: string } {
  const { workspaceId, sequence, actor, subject, reason, detail } = entry;
  const id = `evt_${workspaceId}_${sequence}`;
  const short = JSON.stringify(detail).length <= longestData;
  const event: { [field in keyof WebhookEvent]: unknown } = {
    id,
    type: entry.action,
    createdAt: entry.at.toISOString(),
    workspace: workspaceId,
    sequence,
    actor,
    subject,
    reason,
    data: short ? detail : null,
  };
  return { id, body: JSON.stringify(event) };
}

/** One delivery for each webhook of the workspace that asks for the action. */
export async function insertDeliveries(tx: Orm, entry: Entry): Promise<void> {
  const { id, body } = eventOf(entry);
  const { workspaceId, sequence, action } = entry;
  const family = `${action.split('.')[0]}.*`;
  const at = entry.at.toISOString();
  await tx.execute(
    sql`insert into webhook_deliveries
        (workspace_id, webhook_id, id, type, sequence, body, state, attempts, due_at, created_at)
      select w.workspace_id, w.id, ${id}, ${action}, ${sequence}, ${body}, 'pending', 0,
        ${at}::timestamptz, ${at}::timestamptz
      from webhooks w
      where w.workspace_id = ${workspaceId} and w.state = 'active'
        and w.events && array['*', ${family}::text, ${action}::text]
      order by w.id`,
  );
}
