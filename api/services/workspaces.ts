// Workspaces: made and listed by admins of the deployment (http/roles.ts), who see of another one
// that it is there, and nothing in it. These work outside of the wall between workspaces.

import type { CreateWorkspace, MadeWorkspace, Workspace } from '../contract/workspaces.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { newId } from '../ids.ts';
import type { AuditEntry } from '../store/audit.ts';
import { insertWorkspace, listWorkspaces, type WorkspaceRow } from '../store/workspaces.ts';
import { entryOf } from './entries.ts';
import { mintToken, tokenCreated } from './tokens.ts';

function workspaceView({ id, name, createdAt }: WorkspaceRow): Workspace {
  return { id, name, createdAt: createdAt.toISOString() };
}

/**
 * Makes a workspace with its first admin token, whose secret is in this answer alone; both chains
 * say so, its own and that of the deployment. Throws `conflict` where the name is taken.
 */
export async function createWorkspace(
  deps: Deps,
  actor: Actor,
  { name, actor: admin, reason }: CreateWorkspace,
): Promise<MadeWorkspace> {
  const workspace = { id: newId(deps), name, createdAt: deps.now() };
  const { token, made } = await mintToken(deps, {
    workspaceId: workspace.id,
    name: 'first admin',
    actor: admin,
    role: 'admin',
    expiresAt: null,
  });
  const created = { action: 'workspace.created', subject: `workspace/${workspace.id}`, reason };
  const within = (change: Pick<AuditEntry, 'action' | 'subject' | 'detail'>) =>
    entryOf(deps, { ...actor, workspaceId: workspace.id, name: 'deployment' }, change);
  const added = await insertWorkspace(deps.database.orm, { workspace, token }, [
    within({ ...created, detail: { name, by: actor.name } }),
    within(tokenCreated(made)),
    entryOf(deps, actor, { ...created, detail: { name, admin } }),
  ]);
  if (!added) {
    throw new ProblemError(
      'conflict',
      `A workspace named "${name}" is there already. Its admins make more tokens for it; for another workspace, choose another name.`,
    );
  }
  return { ...workspaceView(workspace), token: made };
}

/** Workspaces of the deployment in the order they were made. */
export async function pageOfWorkspaces(
  deps: Deps,
  query: { after?: string; limit: number },
): Promise<Workspace[]> {
  return (await listWorkspaces(deps.database.orm, query)).map(workspaceView);
}
