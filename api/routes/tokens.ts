// Tokens: made, listed and revoked by admins.

import { createRoute, z } from '@hono/zod-openapi';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { createTokenSchema, madeTokenSchema, tokenSchema } from '../contract/tokens.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { createToken, pageOfTokens, revokeToken } from '../services/tokens.ts';

const tags = ['tokens'];

export function tokenRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path: '/v1/tokens',
        tags,
        summary: 'Make a token; its secret is in this answer alone',
        request: { body: jsonBody(createTokenSchema) },
        responses: { 201: json(madeTokenSchema, 'Made'), ...problems },
      }),
      async (c) => {
        const made = await createToken(c.get('deps'), c.get('actor'), c.req.valid('json'));
        c.header('cache-control', 'no-store');
        return c.json(made, 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/v1/tokens',
        tags,
        summary: 'List tokens, without their secrets',
        request: { query: listQuerySchema },
        responses: { 200: json(listSchema(tokenSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfTokens(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/v1/tokens/{id}',
        tags,
        summary: 'Revoke a token, at once',
        request: { params: z.object({ id: z.string() }) },
        responses: { 200: json(tokenSchema, 'Revoked'), ...problems },
      }),
      async (c) =>
        c.json(await revokeToken(c.get('deps'), c.get('actor'), c.req.valid('param').id), 200),
    );
}
