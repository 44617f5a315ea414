// Jobs: launch, watch, cancel, retry, compare.

import { createRoute, z } from '@hono/zod-openapi';
import {
  artifactSchema,
  compareQuerySchema,
  comparisonSchema,
  dryRunSchema,
  eventQuerySchema,
  jobActionSchema,
  jobEventSchema,
  jobQuerySchema,
  jobSchema,
  launchedSchema,
  launchJobSchema,
  ledgerEpochSchema,
  metricPointSchema,
  metricQuerySchema,
  retryJobSchema,
} from '../contract/jobs.ts';
import { listSchema } from '../contract/shared.ts';
import { decodeCursor, decodeNumberCursor, page } from '../http/paging.ts';
import { json, jsonBody, limited, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { cancelJob } from '../services/jobs/cancel.ts';
import { dryRunAlias, dryRunJob, launchAlias, launchJob } from '../services/jobs/launch.ts';
import {
  compareJobs,
  getJob,
  jobArtifacts,
  jobEvents,
  jobLedger,
  jobLog,
  jobMetrics,
  pageOfJobs,
} from '../services/jobs/read.ts';
import { retryJob } from '../services/jobs/retry.ts';
import { waitsForAgents } from '../services/targets.ts';
import { eventStream } from './event-stream.ts';

const tags = ['jobs'];
const idParam = z.object({ id: z.string() });
const optionally = (schema: z.ZodType) => ({ content: { 'application/json': { schema } } });

type Routes = ReturnType<typeof router>;

export function jobRoutes() {
  const routes = router();
  launchRoutes(routes);
  actionRoutes(routes);
  listRoutes(routes);
  watchRoutes(routes);
  resultRoutes(routes);
  return routes;
}

function launchRoutes(routes: Routes): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/jobs',
      tags,
      summary: 'Launch a job, or one for each fold of an alias; dryRun answers the native request',
      request: { body: jsonBody(launchJobSchema) },
      responses: {
        201: json(launchedSchema, 'Launched; a list for an alias'),
        202: json(launchedSchema, 'Stored, and waits for an agent'),
        200: json(dryRunSchema, 'Dry run'),
        ...problems,
        ...limited,
      },
    }),
    async (c) => {
      const { snapshot, dataset, alias, folds, ...rest } = c.req.valid('json');
      const launched = () => (waitsForAgents(c.get('deps'), rest.target) ? 202 : 201);
      if (alias !== undefined) {
        const several = { ...rest, dataset: dataset as string, alias, folds };
        if (rest.dryRun)
          return c.json(await dryRunAlias(c.get('deps'), c.get('actor'), several), 200);
        return c.json(await launchAlias(c.get('deps'), c.get('actor'), several), launched());
      }
      const input = { ...rest, snapshot: snapshot as string }; // the schema asks for one of the two
      if (input.dryRun) return c.json(await dryRunJob(c.get('deps'), c.get('actor'), input), 200);
      return c.json(await launchJob(c.get('deps'), c.get('actor'), input), launched());
    },
  );
}

function actionRoutes(routes: Routes): void {
  for (const [action, summary, act, body] of [
    ['cancel', 'Cancel a job', cancelJob, jobActionSchema],
    ['retry', 'Start another attempt of a job that ended', retryJob, retryJobSchema],
  ] as const) {
    routes.openapi(
      createRoute({
        method: 'post',
        path: `/v1/jobs/{id}/${action}`,
        tags,
        summary,
        request: { params: idParam, body: optionally(body) },
        responses: {
          200: json(jobSchema, 'The job'),
          ...problems,
          ...(action === 'retry' ? limited : {}),
        },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...(c.req.valid('json') as object) };
        return c.json(await act(c.get('deps'), c.get('actor'), input), 200);
      },
    );
  }
}

function listRoutes(routes: Routes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs',
      tags,
      summary: 'List jobs, newest first, or those of one batch',
      request: { query: jobQuerySchema },
      responses: { 200: json(listSchema(jobSchema), 'A page'), ...problems },
    }),
    async (c) => {
      const { limit, cursor, batch } = c.req.valid('query');
      const query = { batch, before: decodeCursor(cursor), limit: limit + 1 };
      const items = await pageOfJobs(c.get('deps'), c.get('actor'), query);
      return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/compare',
      tags,
      summary: 'Several jobs side by side',
      request: { query: compareQuerySchema },
      responses: { 200: json(comparisonSchema, 'The jobs'), ...problems },
    }),
    async (c) => {
      const ids = c.req.valid('query').ids.split(',').slice(0, 20);
      return c.json({ items: await compareJobs(c.get('deps'), c.get('actor'), ids) }, 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/{id}',
      tags,
      summary: 'State, progress and verified draws of a job',
      request: { params: idParam },
      responses: { 200: json(jobSchema, 'The job'), ...problems },
    }),
    async (c) => c.json(await getJob(c.get('deps'), c.get('actor'), c.req.valid('param').id), 200),
  );
}

const events = {
  description: 'A page, or each event as it comes',
  content: {
    'application/json': { schema: listSchema(jobEventSchema) },
    'text/event-stream': { schema: z.string() },
  },
};

function watchRoutes(routes: Routes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/{id}/metrics',
      tags,
      summary: 'Metrics in the order of their arrival, after a sequence number',
      request: { params: idParam, query: metricQuerySchema },
      responses: { 200: json(listSchema(metricPointSchema), 'A page'), ...problems },
    }),
    async (c) => {
      const { cursor, ...query } = c.req.valid('query');
      // Both count sequences: "after" is for those who follow, the cursor for those who page.
      const after = decodeNumberCursor(cursor) ?? query.after;
      const input = { ...c.req.valid('param'), ...query, after, limit: query.limit + 1 };
      const items = await jobMetrics(c.get('deps'), c.get('actor'), input);
      const answer = page(items, { limit: query.limit, keyOf: (i) => i.sequence, show: (i) => i });
      return c.json(answer, 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/{id}/events',
      tags,
      summary: 'Events as a list, or live with Accept: text/event-stream',
      request: { params: idParam, query: eventQuerySchema },
      responses: { 200: events, ...problems },
    }),
    async (c) => {
      const { limit, cursor, ...query } = c.req.valid('query');
      const after = decodeNumberCursor(cursor) ?? query.after;
      const input = { ...c.req.valid('param'), limit, after };
      if (c.req.header('accept')?.includes('text/event-stream')) {
        return (await eventStream(c, input)) as never;
      }
      const items = await jobEvents(c.get('deps'), c.get('actor'), {
        ...input,
        limit: input.limit + 1,
      });
      const answer = page(items, { limit: input.limit, keyOf: (i) => i.sequence, show: (i) => i });
      return c.json(answer, 200);
    },
  );
}

function resultRoutes(routes: Routes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/{id}/log',
      tags,
      summary: "The tail of the latest attempt's log",
      request: { params: idParam },
      responses: {
        200: { description: 'Text', content: { 'text/plain': { schema: z.string() } } },
        ...problems,
      },
    }),
    async (c) => c.text(await jobLog(c.get('deps'), c.get('actor'), c.req.valid('param').id), 200),
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/{id}/ledger',
      tags,
      summary: 'The draw ledger, epoch by epoch',
      request: { params: idParam },
      responses: { 200: json(listSchema(ledgerEpochSchema), 'Every epoch'), ...problems },
    }),
    async (c) => {
      const items = await jobLedger(c.get('deps'), c.get('actor'), c.req.valid('param').id);
      return c.json({ items, nextCursor: null }, 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/jobs/{id}/artifacts',
      tags,
      summary: 'What the trainer left, with digests',
      request: { params: idParam },
      responses: { 200: json(listSchema(artifactSchema), 'All of them'), ...problems },
    }),
    async (c) => {
      const items = await jobArtifacts(c.get('deps'), c.get('actor'), c.req.valid('param').id);
      return c.json({ items, nextCursor: null } as never, 200);
    },
  );
}
