// Which snapshots, jobs and models a case was part of, and how often it was drawn.

import { createRoute, z } from '@hono/zod-openapi';
import { caseUsageQuerySchema, caseUsageSchema } from '../contract/case-usage.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { caseUsage } from '../services/case-usage.ts';
import { datasetParam } from './datasets.ts';

const caseParam = datasetParam.extend({ caseId: z.string() });

export function caseUsageRoutes() {
  return router().openapi(
    createRoute({
      method: 'get',
      path: '/v1/datasets/{dataset}/cases/{caseId}/usage',
      tags: ['withdrawals'],
      summary: 'Which snapshots and jobs a case was part of, and how often it was drawn',
      description:
        'Draws are counted in verified epochs alone: unverifiedEpochs says in how many others the case may have been drawn.',
      request: { params: caseParam, query: caseUsageQuerySchema },
      responses: { 200: json(caseUsageSchema, 'Where the case was used'), ...problems },
    }),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('query') };
      return c.json(await caseUsage(c.get('deps'), c.get('actor'), input), 200);
    },
  );
}
