// Tells the deployment of every request what a log or a measurement may know of it: never a query,
// a body, a token, or the ids in a path.

import { createMiddleware } from 'hono/factory';
import { matchedRoutes } from 'hono/route';
import type { Witness } from '../deps.ts';
import type { Env } from './context.ts';
import { written } from './route-name.ts';

/** What stands for every path that no route has, so that strangers cannot make up names. */
const noRoute = 'none';

/** Calls the witness as a request arrives, and what it gave back once there is an answer. */
export function witnessed(witness: Witness | undefined) {
  return createMiddleware<Env>(async (c, next) => {
    if (witness === undefined) return await next();
    const answered = witness(c.env);
    let status = 500;
    try {
      await next();
      status = c.res.status;
    } finally {
      const route = matchedRoutes(c).find(({ method }) => method !== 'ALL');
      answered({
        requestId: c.get('requestId'),
        traceId: c.get('traceId'),
        method: c.req.method,
        route: route === undefined ? noRoute : written(route.path),
        status,
        actor: c.get('actor')?.tokenId,
      });
    }
  });
}
