// What a session may ask beside its role: the rule is passed in, and is asked before anything is
// read, kept or changed for it.

import { createMiddleware } from 'hono/factory';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';
import { routeOf } from './route-name.ts';

type Asked = { route: string; params: Record<string, string>; body: () => Promise<unknown> };

/** Lets a request through unless `require` throws; what is not declared answers 404 or 405. */
export function permitted(require: (deps: Deps, actor: Actor, asked: Asked) => Promise<void>) {
  return createMiddleware<Env>(async (c, next) => {
    const route = routeOf(c);
    if (route !== undefined) {
      const params = paramsOf(route, c.req.path);
      const body = async () => parsed(await c.req.text());
      await require(c.get('deps'), c.get('actor'), { route, params, body });
    }
    await next();
  });
}

/** The parts of a path that its route names, decoded as the route decodes them. */
export function paramsOf(route: string, path: string): Record<string, string> {
  const given = path.split('/');
  const named = route.split(' ')[1].split('/');
  const params = named.flatMap((part, place): [string, string][] =>
    part.startsWith('{') ? [[part.slice(1, -1), decoded(given[place])]] : [],
  );
  return Object.fromEntries(params);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new ProblemError('invalid-request', `"${part}" in the address is not percent-encoded.`);
  }
}

// What is no JSON is told by the route, in the words that it has for it.
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
