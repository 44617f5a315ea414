// Keyless GitHub: trust policies, for admins; the exchange of a workflow run's token, for whoever
// has one.

import { createRoute, z } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import {
  createGithubPolicySchema,
  exchangeSchema,
  githubPolicySchema,
  githubSessionSchema,
  largestGithubToken,
} from '../contract/github.ts';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { ProblemError } from '../errors.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems, retried, tooLarge } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { storableBody } from '../http/texts.ts';
import { exchangeGithubToken } from '../services/github/exchange.ts';
import {
  createGithubPolicy,
  pageOfGithubPolicies,
  removeGithubPolicy,
} from '../services/github/policies.ts';

const tags = ['github'];
const exchange = '/v1/github/exchange';

export function githubExchangeRoutes() {
  const routes = router();
  const limit = bodyLimit({
    maxSize: 2 * largestGithubToken,
    onError: () => {
      throw new ProblemError('too-large', `The body is over ${2 * largestGithubToken} bytes.`);
    },
  });
  routes.post(exchange, limit, storableBody);
  return routes.openapi(
    createRoute({
      method: 'post',
      path: exchange,
      tags,
      summary: "Exchange a workflow run's OIDC token for a session of 15 minutes",
      security: [],
      request: { body: jsonBody(exchangeSchema) },
      responses: {
        201: json(githubSessionSchema, 'The session; its token is in this answer alone'),
        ...problems,
        ...tooLarge,
        ...retried,
      },
    }),
    async (c) => {
      const session = await exchangeGithubToken(c.get('service'), c.req.valid('json'));
      c.header('cache-control', 'no-store');
      return c.json(session, 201);
    },
  );
}

export function githubPolicyRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path: '/v1/github/policies',
        tags,
        summary: 'Trust the workflow runs of a repository with launching from an alias',
        request: { body: jsonBody(createGithubPolicySchema) },
        responses: { 201: json(githubPolicySchema, 'Made'), ...problems },
      }),
      async (c) =>
        c.json(await createGithubPolicy(c.get('deps'), c.get('actor'), c.req.valid('json')), 201),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/github/policies',
        tags,
        summary: 'List trust policies, removed ones included',
        request: { query: listQuerySchema },
        responses: { 200: json(listSchema(githubPolicySchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfGithubPolicies(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/v1/github/policies/{id}',
        tags,
        summary: 'Remove a trust policy and end its sessions, at once',
        request: { params: z.object({ id: z.string() }) },
        responses: { 200: json(githubPolicySchema, 'Removed'), ...problems },
      }),
      async (c) =>
        c.json(
          await removeGithubPolicy(c.get('deps'), c.get('actor'), c.req.valid('param').id),
          200,
        ),
    );
}
