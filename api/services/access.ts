// Who a token speaks for, and the first admin of a new deployment.

import { deploymentWorkspace } from '../contract/workspaces.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { newId, newSecret, sha256Text } from '../ids.ts';
import {
  findToken,
  findTokenBySecret,
  insertToken,
  moveTokenToUsed,
  type TokenRow,
} from '../store/tokens.ts';
import { findWorkspaceByName } from '../store/workspaces.ts';
import { actorOfSession, sessionHolds } from './github/sessions.ts';

/** How long a noted use of a token stands, so that reading does not mean writing. */
const useStandsMs = 60_000;

const hasExpired = ({ expiresAt }: TokenRow, now: Date) => expiresAt !== null && expiresAt <= now;

/**
 * The actor of a bearer secret, of a token or of a session of a GitHub run. Throws
 * `unauthenticated` for an unknown, revoked or expired one.
 */
export async function actorOfToken(deps: Deps, secret: string): Promise<Actor> {
  const secretDigest = await sha256Text(secret);
  const row = await findTokenBySecret(deps.database.orm, secretDigest);
  const session = row === undefined ? await actorOfSession(deps, secretDigest) : undefined;
  if (session !== undefined) return session;
  if (row === undefined || row.revokedAt !== null) {
    throw new ProblemError(
      'unauthenticated',
      'This token is not known here or was revoked. Ask an admin of the deployment for a new one.',
    );
  }
  const now = deps.now();
  if (hasExpired(row, now)) {
    throw new ProblemError(
      'unauthenticated',
      `This token expired at ${row.expiresAt?.toISOString()}.`,
    );
  }
  const notSince = new Date(now.getTime() - useStandsMs);
  if (row.lastUsedAt === null || row.lastUsedAt <= notSince) {
    await moveTokenToUsed(deps.database.orm, { id: row.id, at: now, notSince });
  }
  return {
    workspaceId: row.workspaceId,
    workspaceName: row.workspaceName,
    name: row.actor,
    role: row.role as Actor['role'],
    tokenId: row.id,
  };
}

/** Whether an actor's token still holds: an answer that goes on for hours asks again. */
export async function stillHolds(deps: Deps, actor: Actor): Promise<boolean> {
  if (actor.github !== undefined) return await sessionHolds(deps, actor);
  const { workspaceId, tokenId } = actor;
  const row = await findToken(deps.database.orm, { workspaceId, id: tokenId });
  return row !== undefined && row.revokedAt === null && !hasExpired(row, deps.now());
}

/** What a request works with once it is known who asks: what its workspace has, and no more. */
export function depsOf(deps: Deps, { workspaceId, workspaceName }: Actor): Deps {
  const targets = deps.targets.filter(
    ({ workspaces }) => workspaces === undefined || workspaces.includes(workspaceName),
  );
  return { ...depsWithin(deps, workspaceId), targets };
}

/** The same services with a database that shows one workspace. */
export function depsWithin(deps: Deps, workspaceId: string): Deps {
  return { ...deps, database: { ...deps.database, orm: deps.database.within(workspaceId) } };
}

/**
 * Makes sure that workspace `default` has an admin with this secret, or with a new one when none is
 * given and there is no workspace yet. Answers the new secret if one was made, else null. Throws
 * for a secret that was revoked: it does not come back.
 */
export async function bootstrapAdmin(deps: Deps, secret?: string): Promise<string | null> {
  const workspace = await findWorkspaceByName(deps.database.orm, deploymentWorkspace);
  if (secret === undefined && workspace !== undefined) return null;
  if (secret !== undefined && !/^\S{16,}$/.test(secret)) {
    throw new ProblemError(
      'unprocessable',
      'CW_ADMIN_TOKEN must have at least 16 characters and no spaces',
    );
  }
  const made = secret ?? newSecret(deps.randomBytes);
  const secretDigest = await sha256Text(made);
  const known = await findTokenBySecret(deps.database.orm, secretDigest);
  if (known !== undefined && known.revokedAt !== null) {
    throw new ProblemError(
      'unprocessable',
      'CW_ADMIN_TOKEN was revoked here: set another one, or leave it out',
    );
  }
  if (known !== undefined) return null;
  const workspaceId = workspace?.id ?? newId(deps);
  const token = {
    id: newId(deps),
    workspaceId,
    name: 'bootstrap',
    actor: 'admin',
    role: 'admin',
    secretDigest,
    createdAt: deps.now(),
    expiresAt: null,
    revokedAt: null,
    lastUsedAt: null,
  };
  await insertToken(
    deps.database.orm,
    { workspaceName: deploymentWorkspace, token },
    {
      workspaceId,
      at: deps.now(),
      actor: 'deployment',
      action: 'token.created',
      subject: `token/${token.id}`,
      reason: 'first admin token of the deployment',
      detail: { role: 'admin', actor: 'admin' },
    },
  );
  return secret === undefined ? made : null;
}
