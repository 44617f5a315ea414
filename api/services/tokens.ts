// Tokens: make, list, revoke. What a role may do is in http/roles.ts.

import type { CreateToken, MadeToken, Token } from '../contract/tokens.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { newId, newSecret, sha256Text } from '../ids.ts';
import {
  findToken,
  insertToken,
  listTokens,
  moveTokenToRevoked,
  type TokenRow,
} from '../store/tokens.ts';
import { entryOf } from './entries.ts';

function tokenView(row: TokenRow): Token {
  return {
    id: row.id,
    name: row.name,
    actor: row.actor,
    role: row.role as Token['role'],
    createdAt: row.createdAt.toISOString(),
    expiresAt: row.expiresAt?.toISOString() ?? null,
    revokedAt: row.revokedAt?.toISOString() ?? null,
  };
}

/** Makes a token. Its secret is in this answer alone. Throws `unprocessable` for a time gone by. */
export async function createToken(
  deps: Deps,
  actor: Actor,
  input: CreateToken,
): Promise<MadeToken> {
  const expiresAt = input.expiresAt === undefined ? null : new Date(input.expiresAt);
  if (expiresAt !== null && expiresAt <= deps.now()) {
    throw new ProblemError('unprocessable', `expiresAt ${input.expiresAt} is not in the future.`, {
      errors: [{ pointer: '/expiresAt', detail: 'not in the future' }],
    });
  }
  const secret = newSecret(deps.randomBytes);
  const token: TokenRow = {
    id: newId(deps),
    workspaceId: actor.workspaceId,
    name: input.name,
    actor: input.actor,
    role: input.role,
    secretDigest: await sha256Text(secret),
    createdAt: deps.now(),
    expiresAt,
    revokedAt: null,
    lastUsedAt: null,
  };
  const { id: _, createdAt: __, revokedAt: ___, ...detail } = tokenView(token);
  const change = { action: 'token.created', subject: `token/${token.id}`, detail };
  await insertToken(deps.database.orm, { token }, entryOf(deps, actor, change));
  return { ...tokenView(token), secret };
}

/** Tokens of the workspace in the order they were made, without secrets. */
export async function pageOfTokens(
  deps: Deps,
  actor: Actor,
  { after, limit }: { after?: string; limit: number },
): Promise<Token[]> {
  const query = { workspaceId: actor.workspaceId, after, limit };
  return (await listTokens(deps.database.orm, query)).map(tokenView);
}

/**
 * Revokes a token; from then on no request passes with it. Again: nothing changes. Throws
 * `conflict` for the last admin token of the workspace.
 */
export async function revokeToken(deps: Deps, actor: Actor, id: string): Promise<Token> {
  const key = { workspaceId: actor.workspaceId, id };
  const before = await findToken(deps.database.orm, key);
  if (before === undefined) {
    throw new ProblemError(
      'not-found',
      `There is no token "${id}" in this workspace. Name it by its id; GET /v1/tokens lists them.`,
    );
  }
  const { name, actor: of, role } = tokenView(before);
  const entry = entryOf(deps, actor, {
    action: 'token.revoked',
    subject: `token/${id}`,
    detail: { name, actor: of, role },
  });
  await moveTokenToRevoked(deps.database.orm, { ...key, at: deps.now() }, entry);
  return tokenView((await findToken(deps.database.orm, key)) as TokenRow);
}
