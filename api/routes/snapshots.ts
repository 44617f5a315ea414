// What-if, freezing, and reading snapshots in three formats.

import { createRoute, z } from '@hono/zod-openapi';
import { type Fold, listSchema } from '../contract/shared.ts';
import {
  drawsQuerySchema,
  explanationSchema,
  freezeSchema,
  snapshotBatchSchema,
  snapshotCaseSchema,
  snapshotQuerySchema,
  snapshotSchema,
  whatIfAnswerSchema,
  whatIfSchema,
} from '../contract/snapshots.ts';
import { snapshotDocumentSchema } from '../contract/trainer.ts';
import { acceptedFormat } from '../http/negotiation.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { ndjson } from '../http/streams.ts';
import { replayDraws } from '../services/snapshots/draws.ts';
import { explainSnapshotCase } from '../services/snapshots/explain.ts';
import { freezeFolds, freezeSnapshot, whatIf } from '../services/snapshots/freeze.ts';
import { getSnapshot, pageOfSnapshots, snapshotChunks } from '../services/snapshots/read.ts';
import { datasetParam } from './datasets.ts';
import { snapshotAnswer, snapshotFormats } from './snapshot-formats.ts';

const tags = ['snapshots'];
const snapshotParam = z.object({ snapshot: z.string() });
/** What is named by id or digest never changes; what an alias stands for does. */
const cacheControl = (key: string) =>
  key.includes('@') ? 'private, no-cache' : 'private, max-age=31536000, immutable';

export function snapshotRoutes() {
  const routes = router();
  makingRoutes(routes);
  readingRoutes(routes);
  streamingRoutes(routes);
  return routes;
}

function makingRoutes(routes: ReturnType<typeof router>): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/datasets/{dataset}/what-if',
      tags,
      summary: 'Everything a snapshot would say; nothing is stored',
      request: { params: datasetParam, body: jsonBody(whatIfSchema) },
      responses: { 200: json(whatIfAnswerSchema, 'What it would say'), ...problems },
    }),
    async (c) => {
      const input = { ...c.req.valid('param'), ...c.req.valid('json') };
      return c.json(await whatIf(c.get('deps'), c.get('actor'), input), 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/datasets/{dataset}/snapshots',
      tags,
      summary:
        'Freeze a snapshot, or several folds at once; the same inputs give the same snapshot',
      request: { params: datasetParam, body: jsonBody(freezeSchema) },
      responses: {
        201: json(z.union([snapshotSchema, snapshotBatchSchema]), 'Frozen now; a list for folds'),
        200: json(z.union([snapshotSchema, snapshotBatchSchema]), 'Frozen before'),
        ...problems,
      },
    }),
    async (c) => {
      const { fold, folds, ...body } = { ...c.req.valid('param'), ...c.req.valid('json') };
      if (folds !== undefined) {
        const several = { ...body, folds };
        const { created, ...batch } = await freezeFolds(c.get('deps'), c.get('actor'), several);
        return created ? c.json(batch, 201) : c.json(batch, 200);
      }
      const one = { ...body, fold: fold as Fold }; // the schema asks for one of the two
      const { snapshot, created } = await freezeSnapshot(c.get('deps'), c.get('actor'), one);
      return created ? c.json(snapshot, 201) : c.json(snapshot, 200);
    },
  );
}

function readingRoutes(routes: ReturnType<typeof router>): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/datasets/{dataset}/snapshots',
      tags,
      summary: 'List the snapshots of a dataset, or those of one batch',
      request: { params: datasetParam, query: snapshotQuerySchema },
      responses: { 200: json(listSchema(snapshotSchema), 'A page'), ...problems },
    }),
    async (c) => {
      const { limit, cursor, batch } = c.req.valid('query');
      const after = decodeCursor(cursor);
      const query = { ...c.req.valid('param'), batch, after, limit: limit + 1 };
      const items = await pageOfSnapshots(c.get('deps'), c.get('actor'), query);
      return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{snapshot}',
      tags,
      summary: 'Read a snapshot by id or digest',
      request: { params: snapshotParam },
      responses: {
        200: json(snapshotSchema, 'The snapshot'),
        304: { description: 'Unchanged' },
        ...problems,
      },
    }),
    async (c) => {
      const { snapshot: key } = c.req.valid('param');
      const snapshot = await getSnapshot(c.get('deps'), c.get('actor'), key);
      const etag = `"${snapshot.digest}"`;
      c.header('etag', etag);
      c.header('cache-control', cacheControl(key));
      if (c.req.header('if-none-match') === etag) return c.body(null, 304);
      return c.json(snapshot, 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{snapshot}/cases/{caseId}',
      tags,
      summary: 'Explain one case: every term and factor, recomputed and checked',
      request: { params: snapshotParam.extend({ caseId: z.string() }) },
      responses: { 200: json(explanationSchema, 'The explanation'), ...problems },
    }),
    async (c) =>
      c.json(await explainSnapshotCase(c.get('deps'), c.get('actor'), c.req.valid('param')), 200),
  );
}

function streamingRoutes(routes: ReturnType<typeof router>): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{snapshot}/cases',
      tags,
      summary:
        'Stream the cases of a snapshot in digest order: NDJSON, CSV, TSV or one JSON document',
      request: { params: snapshotParam },
      responses: {
        200: {
          description: 'The cases',
          content: {
            'application/x-ndjson': { schema: snapshotCaseSchema },
            'text/csv': { schema: z.string() },
            'application/json': { schema: snapshotDocumentSchema },
            'text/tab-separated-values': { schema: z.string() },
          },
        },
        ...problems,
      },
    }),
    async (c) => {
      const format = acceptedFormat(c, [...snapshotFormats]);
      const { snapshot: key } = c.req.valid('param');
      const snapshot = await getSnapshot(c.get('deps'), c.get('actor'), key);
      const etag = `"${snapshot.digest}"`;
      const headers = { etag, 'cache-control': cacheControl(key), vary: 'accept' };
      const chunks = snapshotChunks(c.get('deps'), snapshot.id);
      return (await snapshotAnswer({ format, snapshot, chunks, headers })) as never;
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/snapshots/{snapshot}/draws',
      tags,
      summary: "Replay an epoch's draws; the ledger digest is in Counterweight-Ledger-Digest",
      request: { params: snapshotParam, query: drawsQuerySchema },
      responses: {
        200: {
          description: 'A case id a line, in plan order',
          content: { 'application/x-ndjson': { schema: z.string() } },
        },
        ...problems,
      },
    }),
    async (c) => {
      const query = { ...c.req.valid('param'), ...c.req.valid('query') };
      const { ids, ledgerDigest } = await replayDraws(c.get('deps'), c.get('actor'), query);
      const headers = { 'counterweight-ledger-digest': ledgerDigest };
      return (await ndjson(asyncItems(ids), headers)) as never;
    },
  );
}

async function* asyncItems<Item>(items: Item[]): AsyncGenerator<Item> {
  yield* items;
}
