// Webhooks and their deliveries, for admins.

import { createRoute, z } from '@hono/zod-openapi';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import {
  createWebhookSchema,
  deliveryQuerySchema,
  enableWebhookSchema,
  madeWebhookSchema,
  webhookDeliverySchema,
  webhookSchema,
} from '../contract/webhooks.ts';
import { decodeCursor, decodeNumberCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { pageOfDeliveries, pingWebhook, redeliver } from '../services/webhooks/deliveries.ts';
import {
  createWebhook,
  enableWebhook,
  getWebhook,
  pageOfWebhooks,
  removeWebhook,
} from '../services/webhooks/manage.ts';

type Item = Awaited<ReturnType<typeof pageOfDeliveries>>[number];

const tags = ['webhooks'];
const params = z.object({ id: z.string() });

export function webhookRoutes() {
  const routes = router();
  managingRoutes(routes);
  singleRoutes(routes);
  deliveryRoutes(routes);
  return routes;
}

function managingRoutes(routes: ReturnType<typeof router>): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/webhooks',
      tags,
      summary: 'Make a webhook; its signing secret is in this answer alone',
      request: { body: jsonBody(createWebhookSchema) },
      responses: { 201: json(madeWebhookSchema, 'Made'), ...problems },
    }),
    async (c) => {
      const made = await createWebhook(c.get('deps'), c.get('actor'), c.req.valid('json'));
      c.header('cache-control', 'no-store');
      return c.json(made, 201);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/webhooks',
      tags,
      summary: 'List webhooks with their health, without secrets',
      request: { query: listQuerySchema },
      responses: { 200: json(listSchema(webhookSchema), 'A page'), ...problems },
    }),
    async (c) => {
      const { limit, cursor } = c.req.valid('query');
      const query = { after: decodeCursor(cursor), limit: limit + 1 };
      const items = await pageOfWebhooks(c.get('deps'), c.get('actor'), query);
      return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
    },
  );
}

function singleRoutes(routes: ReturnType<typeof router>): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/webhooks/{id}',
      tags,
      summary: 'Read one with its health',
      request: { params },
      responses: { 200: json(webhookSchema, 'The webhook'), ...problems },
    }),
    async (c) =>
      c.json(await getWebhook(c.get('deps'), c.get('actor'), c.req.valid('param').id), 200),
  );
  routes.openapi(
    createRoute({
      method: 'delete',
      path: '/v1/webhooks/{id}',
      tags,
      summary: 'Remove one with its secret and its deliveries, at once',
      request: { params },
      responses: { 200: json(webhookSchema, 'Removed'), ...problems },
    }),
    async (c) =>
      c.json(await removeWebhook(c.get('deps'), c.get('actor'), c.req.valid('param').id), 200),
  );
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/webhooks/{id}/enable',
      tags,
      summary: 'Begin again to send to one that was disabled',
      request: { params, body: jsonBody(enableWebhookSchema) },
      responses: { 200: json(webhookSchema, 'Active'), ...problems },
    }),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') };
      return c.json(await enableWebhook(c.get('deps'), c.get('actor'), input), 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/webhooks/{id}/test',
      tags,
      summary: 'Send a ping at once, in one try, and see what comes of it',
      request: { params },
      responses: { 200: json(webhookDeliverySchema, 'Delivered, or dead and why'), ...problems },
    }),
    async (c) =>
      c.json(await pingWebhook(c.get('deps'), c.get('actor'), c.req.valid('param').id), 200),
  );
}

function deliveryRoutes(routes: ReturnType<typeof router>): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/webhooks/{id}/deliveries',
      tags,
      summary: 'List what one was sent and will be sent, newest first',
      request: { params, query: deliveryQuerySchema },
      responses: { 200: json(listSchema(webhookDeliverySchema), 'A page'), ...problems },
    }),
    async (c) => {
      const { limit, cursor, state } = c.req.valid('query');
      const { id } = c.req.valid('param');
      const query = { id, state, before: decodeNumberCursor(cursor), limit: limit + 1 };
      const items = await pageOfDeliveries(c.get('deps'), c.get('actor'), query);
      const shown = { limit, keyOf: ({ number }: Item) => number, show: ({ view }: Item) => view };
      return c.json(page(items, shown), 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/webhooks/{id}/deliveries/{delivery}/redeliver',
      tags,
      summary: 'Send one again, from the tick on, under its old id',
      request: { params: params.extend({ delivery: z.string() }) },
      responses: { 200: json(webhookDeliverySchema, 'Due now'), ...problems },
    }),
    async (c) => c.json(await redeliver(c.get('deps'), c.get('actor'), c.req.valid('param')), 200),
  );
}
