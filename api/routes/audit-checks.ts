// What proves that the chain is whole: the check, and the head to keep elsewhere.

import { createRoute } from '@hono/zod-openapi';
import {
  auditHeadSchema,
  auditKeySchema,
  auditVerdictSchema,
  auditVerifyQuerySchema,
} from '../contract/audit.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { auditHead, auditPublicKey } from '../services/audit/head.ts';
import { verifyAudit } from '../services/audit/verify.ts';

const tags = ['audit'];

export function auditCheckRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit/verify',
        tags,
        summary: 'Check the chain and what its entries vouch for; names what does not hold',
        request: { query: auditVerifyQuerySchema },
        responses: { 200: json(auditVerdictSchema, 'The verdict'), ...problems },
      }),
      async (c) =>
        c.json(await verifyAudit(c.get('deps'), c.get('actor'), c.req.valid('query')), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit/head',
        tags,
        summary: 'The newest entry: keep it elsewhere to prove later that nothing was cut off',
        responses: {
          200: json(auditHeadSchema, 'The head'),
          ...problems,
        },
      }),
      async (c) => c.json(await auditHead(c.get('deps'), c.get('actor')), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit/key',
        tags,
        summary: 'The public key that heads are signed with: keep it elsewhere too',
        responses: { 200: json(auditKeySchema, 'The key'), ...problems },
      }),
      async (c) => c.json(auditPublicKey(c.get('deps')), 200),
    );
}
