// A known path with an undeclared method answers 405 with Allow, an unknown path 404.

import type { Context, Hono } from 'hono';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';

type Route = { path: string; method: string };

function pattern(path: string): RegExp {
  const source = path
    .split('/')
    .map((part) => (/^:\w+/.test(part) ? '[^/]+' : part.replace(/[.*+?^$()[\]{}|\\]/g, '\\$&')))
    .join('/');
  return new RegExp(`^${source}/?$`);
}

/** The methods declared for a path. */
export function allowedMethods(routes: Route[], path: string): string[] {
  const methods = routes
    .filter((route) => route.method !== 'ALL' && pattern(route.path).test(path))
    .map((route) => route.method);
  return [...new Set(methods)].sort();
}

/** What `notFound` throws: 405 (setting `Allow`) or 404. */
export function unmatched(c: Context<Env>, app: Hono<Env>): ProblemError {
  const methods = allowedMethods(app.routes, c.req.path);
  if (methods.length === 0) {
    return new ProblemError(
      'not-found',
      `No path ${c.req.path} here. The paths are listed at /openapi.json and /docs.`,
    );
  }
  c.header('allow', methods.join(', '));
  return new ProblemError(
    'method-not-allowed',
    `${c.req.path} takes ${methods.join(', ')}, not ${c.req.method}.`,
  );
}
