// Bearer tokens. The look-up is passed in: this folder knows nothing of tables.

import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import type { Actor } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';

/** The token of `Authorization: Bearer ...`; throws `unauthenticated` where there is none. */
export function bearerToken(header: string | undefined): string {
  const token = /^Bearer\s+(\S+)$/i.exec(header ?? '')?.[1];
  if (token === undefined) {
    throw new ProblemError(
      'unauthenticated',
      'Send the header Authorization: Bearer cw_... with a token of this deployment.',
    );
  }
  return token;
}

/** Puts the actor of a valid token on the context. */
export function authenticated(findActor: (token: string, c: Context<Env>) => Promise<Actor>) {
  return createMiddleware<Env>(async (c, next) => {
    c.set('actor', await findActor(bearerToken(c.req.header('authorization')), c));
    c.set('tokenPassed', true);
    await next();
  });
}
