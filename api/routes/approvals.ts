// Approvals of a snapshot.

import { createRoute, z } from '@hono/zod-openapi';
import { approvalSchema, approveSchema, revokeApprovalSchema } from '../contract/approvals.ts';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { approveSnapshot, pageOfApprovals, revokeApproval } from '../services/approvals.ts';

const tags = ['approvals'];
const params = z.object({ snapshot: z.string() });
const path = '/v1/snapshots/{snapshot}/approvals';

export function approvalRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path,
        tags,
        summary: 'Approve a snapshot that somebody else froze; binds to its digest',
        request: { params, body: jsonBody(approveSchema) },
        responses: { 201: json(approvalSchema, 'Approved'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await approveSnapshot(c.get('deps'), c.get('actor'), input), 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List the approvals of a snapshot, revoked ones included',
        request: { params, query: listQuerySchema },
        responses: { 200: json(listSchema(approvalSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { ...c.req.valid('param'), after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfApprovals(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: `${path}/{id}/revoke`,
        tags,
        summary: 'Revoke an approval; it counts no longer',
        request: {
          params: params.extend({ id: z.string() }),
          body: jsonBody(revokeApprovalSchema),
        },
        responses: { 200: json(approvalSchema, 'Revoked'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await revokeApproval(c.get('deps'), c.get('actor'), input), 200);
      },
    );
}
