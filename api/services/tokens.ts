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
    lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
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
  const { name, actor: of, role } = input;
  const { workspaceId } = actor;
  const { token, made } = await mintToken(deps, { workspaceId, name, actor: of, role, expiresAt });
  await insertToken(deps.database.orm, { token }, entryOf(deps, actor, tokenCreated(made)));
  return made;
}

/** A token that is not stored yet, and what its maker is answered. */
export async function mintToken(
  deps: Deps,
  given: Pick<TokenRow, 'workspaceId' | 'name' | 'actor' | 'role' | 'expiresAt'>,
): Promise<{ token: TokenRow; made: MadeToken }> {
  const secret = newSecret(deps.randomBytes);
  const token = {
    ...given,
    id: newId(deps),
    secretDigest: await sha256Text(secret),
    createdAt: deps.now(),
    revokedAt: null,
    lastUsedAt: null,
  };
  return { token, made: { ...tokenView(token), secret } };
}

/** What the audit chain keeps of a new token. */
export function tokenCreated({ id, name, actor, role, expiresAt }: Token) {
  const detail = { name, actor, role, expiresAt };
  return { action: 'token.created', subject: `token/${id}`, detail };
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
