// What a role may do: the one table. A path that changes something and stands in no row is for
// admins, so a route that somebody forgets here is closed and not open.

import { createMiddleware } from 'hono/factory';
import type { Role } from '../contract/tokens.ts';
import { deploymentWorkspace } from '../contract/workspaces.ts';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';
import { routeOf } from './route-name.ts';

const dataset = '/v1/datasets/{dataset}';

/**
 * Role to the paths that need it. Beside these, whoever has a token may GET what is not here, but
 * for agents: their tokens lie on machines that need nothing of it.
 */
export const rolePaths: Partial<Record<Role, readonly string[]>> = {
  reader: [`POST ${dataset}/rule-sets/check`, `POST ${dataset}/what-if`],
  editor: [
    'POST /v1/datasets',
    `PUT ${dataset}/attributes/{name}`,
    `POST ${dataset}/versions`,
    `DELETE ${dataset}/versions/{n}`,
    `POST ${dataset}/versions/{n}/commit`,
    `POST ${dataset}/versions/{n}/cases`,
    `PUT ${dataset}/versions/{n}/splits/{split}`,
    `PUT ${dataset}/versions/{n}/scores/{attribute}`,
    `POST ${dataset}/rule-sets`,
    `POST ${dataset}/rule-sets/copy`,
    `POST ${dataset}/snapshots`,
    `POST ${dataset}/withdrawals`,
    `PUT ${dataset}/aliases/{alias}`,
  ],
  launcher: ['POST /v1/jobs', 'POST /v1/jobs/{id}/cancel', 'POST /v1/jobs/{id}/retry'],
  approver: [
    'POST /v1/snapshots/{snapshot}/approvals',
    'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke',
  ],
  agent: ['POST /v1/agents/{target}/claim', 'POST /v1/agents/attempts/{id}/state'],
  admin: [
    'GET /v1/tokens',
    'POST /v1/tokens',
    'DELETE /v1/tokens/{id}',
    'GET /v1/workspaces',
    'POST /v1/workspaces',
    'GET /v1/github/policies',
    'POST /v1/github/policies',
    'DELETE /v1/github/policies/{id}',
    // Their URLs may hold secrets of the receiver.
    'GET /v1/webhooks',
    'POST /v1/webhooks',
    'GET /v1/webhooks/{id}',
    'DELETE /v1/webhooks/{id}',
    'POST /v1/webhooks/{id}/enable',
    'POST /v1/webhooks/{id}/test',
    'GET /v1/webhooks/{id}/deliveries',
    'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver',
  ],
};

/** Paths that concern the whole deployment: for those who have the role in its own workspace. */
export const deploymentPaths: readonly string[] = ['GET /v1/workspaces', 'POST /v1/workspaces'];

const neededBy = new Map(
  Object.entries(rolePaths).flatMap(([role, paths]) =>
    paths.map((path) => [path, role as Role] as const),
  ),
);

/** The role that a declared route needs, given as `POST /v1/jobs/{id}/cancel`. */
export function roleOf(route: string): Role {
  return neededBy.get(route) ?? (route.startsWith('GET ') ? 'reader' : 'admin');
}

/** Whether a role does what needs another. */
export function mayAct(role: Role, needed: Role): boolean {
  return (needed === 'reader' && role !== 'agent') || role === needed || role === 'admin';
}

/** Lets a request through whose actor has the role that its route needs; else `forbidden`. */
export function authorized() {
  return createMiddleware<Env>(async (c, next) => {
    const route = routeOf(c);
    if (route === undefined) return await next(); // no such path: 404 or 405
    const needed = roleOf(route);
    const { role, workspaceName } = c.get('actor');
    if (!mayAct(role, needed)) {
      throw new ProblemError(
        'forbidden',
        `This needs a token with the role ${needed}${needed === 'admin' ? '' : ' or admin'}; yours has the role ${role}. An admin makes tokens with POST /v1/tokens.`,
      );
    }
    if (deploymentPaths.includes(route) && workspaceName !== deploymentWorkspace) {
      throw new ProblemError(
        'forbidden',
        `This is for those who run the deployment, the admins of the workspace "${deploymentWorkspace}"; your token is of the workspace "${workspaceName}".`,
      );
    }
    return await next();
  });
}
