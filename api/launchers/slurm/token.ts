// The token of slurmrestd: a JWT of one user, read anew for each request. It is never asked for the
// key that signs them, with which one can be any user, root included.

import { ProblemError } from '../../errors.ts';

export type TokenClaims = { expiresAt: Date | null; user: string | null };

/** What a token says of itself, not verified; null where it is no JWT. */
export function tokenClaims(token: string): TokenClaims | null {
  const [, payload] = token.split('.');
  if (payload === undefined) return null;
  try {
    const claims = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    return {
      expiresAt: typeof claims.exp === 'number' ? new Date(claims.exp * 1000) : null,
      user: typeof claims.sun === 'string' ? claims.sun : null,
    };
  } catch {
    return null;
  }
}

export const renewal = 'scontrol token username=USER lifespan=SECONDS on the cluster';

/**
 * Slurm says of an expired token only that a connection was closed. Throws ProblemError
 * `launcher-failed`, so that a job waits for the new token.
 */
export function requireUnexpired(targetName: string, token: string, now: Date): void {
  const expiresAt = tokenClaims(token)?.expiresAt ?? null;
  if (expiresAt === null || expiresAt > now) return;
  throw new ProblemError(
    'launcher-failed',
    `The token of target "${targetName}" expired at ${expiresAt.toISOString()}; renew it (${renewal}) where its credentials name it. Jobs wait until then.`,
  );
}
