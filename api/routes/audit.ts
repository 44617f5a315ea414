// The audit chain: list, export.

import { createRoute } from '@hono/zod-openapi';
import { auditEntrySchema, auditExportLineSchema, auditQuerySchema } from '../contract/audit.ts';
import { listSchema } from '../contract/shared.ts';
import { decodeNumberCursor, page } from '../http/paging.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { ndjson } from '../http/streams.ts';
import { exportAudit, pageOfAudit } from '../services/audit/read.ts';

const tags = ['audit'];
const instant = (text: string | undefined) => (text === undefined ? undefined : new Date(text));

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
