// The audit chain: list, head, check, export.

import { createRoute, z } from '@hono/zod-openapi';
import { auditEntrySchema, auditExportLineSchema, auditQuerySchema } from '../contract/audit.ts';
import { listSchema } from '../contract/shared.ts';
import { decodeNumberCursor, page } from '../http/paging.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { ndjson } from '../http/streams.ts';
import { auditHead, exportAudit, pageOfAudit, verifyAudit } from '../services/audit.ts';

const tags = ['audit'];
const instant = (text: string | undefined) => (text === undefined ? undefined : new Date(text));

const verdict = z.object({
  ok: z.boolean(),
  checked: z.int(),
  sequence: z.int().optional(),
  detail: z.string().optional(),
});

export function auditRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit',
        tags,
        summary: 'List audit entries, oldest first',
        request: { query: auditQuerySchema },
        responses: { 200: json(listSchema(auditEntrySchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor, from, to, ...filter } = c.req.valid('query');
        const after = decodeNumberCursor(cursor) ?? 0;
        const query = { ...filter, from: instant(from), to: instant(to), after, limit: limit + 1 };
        const items = await pageOfAudit(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.sequence, show: (i) => i }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit/verify',
        tags,
        summary: 'Check the whole chain; names the first entry that does not hold',
        responses: { 200: json(verdict, 'The verdict'), ...problems },
      }),
      async (c) => c.json(await verifyAudit(c.get('deps'), c.get('actor')), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit/head',
        tags,
        summary: 'The newest entry: keep it elsewhere to prove later that nothing was cut off',
        responses: {
          200: json(z.object({ sequence: z.int(), hash: z.string() }), 'The head'),
          ...problems,
        },
      }),
      async (c) => c.json(await auditHead(c.get('deps'), c.get('actor')), 200),
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/audit/export',
        tags,
        summary: 'Every entry as NDJSON, checkable offline',
        responses: {
          200: {
            description: 'An entry a line',
            content: { 'application/x-ndjson': { schema: auditExportLineSchema } },
          },
          ...problems,
        },
      }),
      async (c) => (await ndjson(exportAudit(c.get('deps'), c.get('actor')))) as never,
    );
}
