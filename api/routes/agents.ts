// Agents: they ask, the service never calls them.

import { createRoute, z } from '@hono/zod-openapi';
import {
  agentAnswerSchema,
  agentReportSchema,
  claimAnswerSchema,
  claimSchema,
} from '../contract/agents.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { claimAttempts, reportAttempt } from '../services/jobs/agents.ts';

const tags = ['agents'];

export function agentRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path: '/v1/agents/{target}/claim',
        tags,
        summary: 'What an agent holds, and more of what waits where there is room',
        description:
          'Renews the lease of everything that it holds. Repeating it gives the same attempts again; nothing is lost with an answer.',
        request: {
          params: z.object({ target: z.string() }),
          body: jsonBody(claimSchema),
        },
        responses: { 200: json(claimAnswerSchema, 'All of it'), ...problems },
      }),
      async (c) => {
        const claim = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await claimAttempts(c.get('deps'), c.get('actor'), claim), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/v1/agents/attempts/{id}/state',
        tags,
        summary: 'How an attempt is on the agent’s engine; the answer says what to do with it',
        description:
          'Of an attempt without a handle, `notFound` asks for its token: the answer has one where it may be launched now. Another question within a minute has none, since the first launch may be on its way.',
        request: { params: z.object({ id: z.string() }), body: jsonBody(agentReportSchema) },
        responses: { 200: json(agentAnswerSchema, 'Noted'), ...problems },
      }),
      async (c) => {
        const report = { ...c.req.valid('param'), ...c.req.valid('json') };
        const answer = await reportAttempt(c.get('deps'), c.get('actor'), report);
        c.header('cache-control', 'no-store'); // it may hold a token
        return c.json(answer, 200);
      },
    );
}
