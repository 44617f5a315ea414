// Which declared route a request goes to, by the name that tables of routes use.

import type { Context } from 'hono';
import { matchedRoutes } from 'hono/route';

/** A path as OpenAPI writes it: `/v1/jobs/{id}`. */
export const written = (path: string) => path.replaceAll(/:(\w+)/g, '{$1}');

/** For instance `POST /v1/jobs/{id}/cancel`; undefined where no route is declared. */
export function routeOf(c: Context): string | undefined {
  const route = matchedRoutes(c).find(({ method }) => method !== 'ALL');
  return route && `${route.method} ${written(route.path)}`;
}
