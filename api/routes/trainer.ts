// The trainer protocol. Its token is of one attempt, so these routes authenticate for themselves.

import { createRoute, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import {
  finishAnswerSchema,
  finishSchema,
  reportAnswerSchema,
  reportLimits,
  reportSchema,
  snapshotDocumentSchema,
  trainerCaseSchema,
  trainerJobSchema,
} from '../contract/trainer.ts';
import type { Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { bearerToken } from '../http/auth.ts';
import type { Env } from '../http/context.ts';
import { acceptedFormat } from '../http/negotiation.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { ndjson } from '../http/streams.ts';
import { storableBody } from '../http/texts.ts';
import { depsWithin } from '../services/access.ts';
import { readTrainerCases, readTrainerJob, readTrainerSnapshot } from '../services/trainer/read.ts';
import { acceptFinish, acceptReport } from '../services/trainer/report.ts';
import { trainerSession } from '../services/trainer/session.ts';
import { snapshotAnswer, snapshotFormats } from './snapshot-formats.ts';

const tags = ['trainer'];

export function trainerRoutes(deps: Deps) {
  const routes = router();
  const session = (c: Context<Env>, options?: { allowRevoked?: boolean }) =>
    trainerSession(c.get('deps'), bearerToken(c.req.header('authorization')), options);
  // The token is checked before the body: a stranger learns nothing from validation. It says in
  // which workspace everything after it happens.
  routes.use('/v1/trainer/*', async (c, next) => {
    c.set('deps', deps);
    const { job } = await session(c, { allowRevoked: c.req.path.endsWith('/finish') });
    c.set('deps', depsWithin(deps, job.workspaceId));
    await next();
  });
  routes.use('/v1/trainer/*', bodyLimit({ maxSize: reportLimits.bytes, onError: tooLarge }));
  routes.use('/v1/trainer/*', storableBody);
  readingRoutes(routes, session);
  reportingRoutes(routes, session);
  return routes;
}

type Routes = ReturnType<typeof router>;
type Session = (
  c: Context<Env>,
  options?: { allowRevoked?: boolean },
) => ReturnType<typeof trainerSession>;

function readingRoutes(routes: Routes, session: Session): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/trainer/job',
      tags,
      summary: "The attempt's job: settings, seed, snapshot header, labels, channels, groups",
      responses: { 200: json(trainerJobSchema, 'The job'), ...problems },
    }),
    async (c) => c.json((await readTrainerJob(c.get('deps'), await session(c))) as never, 200),
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/trainer/snapshot',
      tags,
      summary: 'The snapshot to draw by, in the formats of /v1/snapshots/{snapshot}/cases',
      request: { query: z.object({ digest: z.string().optional() }) },
      responses: {
        200: {
          description: 'The cases',
          content: { 'application/json': { schema: snapshotDocumentSchema } },
        },
        ...problems,
      },
    }),
    async (c) => {
      const format = acceptedFormat(c, [...snapshotFormats]);
      const { digest } = c.req.valid('query');
      const { snapshot, chunks } = await readTrainerSnapshot(
        c.get('deps'),
        await session(c),
        digest,
      );
      return (await snapshotAnswer({ format, snapshot, chunks })) as never;
    },
  );
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/trainer/cases',
      tags,
      summary: 'Training and validation cases with groups and files, as NDJSON',
      responses: {
        200: {
          description: 'A case a line',
          content: { 'application/x-ndjson': { schema: trainerCaseSchema } },
        },
        ...problems,
      },
    }),
    async (c) => (await ndjson(readTrainerCases(c.get('deps'), await session(c)))) as never,
  );
}

function reportingRoutes(routes: Routes, session: Session): void {
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/trainer/reports',
      tags,
      summary: 'Report metrics, draws, case losses, log and progress; repeating stores nothing',
      description: `At most ${reportLimits.metrics} metrics and ${reportLimits.bytes} bytes.`,
      request: { body: jsonBody(reportSchema) },
      responses: { 200: json(reportAnswerSchema, 'Accepted; says whether to stop'), ...problems },
    }),
    async (c) => {
      const answer = await acceptReport(c.get('deps'), await session(c), c.req.valid('json'));
      return c.json(answer, 200);
    },
  );
  routes.openapi(
    createRoute({
      method: 'post',
      path: '/v1/trainer/finish',
      tags,
      summary: 'The final report: without it no job succeeds',
      request: { body: jsonBody(finishSchema) },
      responses: { 200: json(finishAnswerSchema, 'Accepted'), ...problems },
    }),
    async (c) => {
      const trainer = await session(c, { allowRevoked: true });
      return c.json(await acceptFinish(c.get('deps'), trainer, c.req.valid('json')), 200);
    },
  );
}

function tooLarge(): never {
  const detail = `A report has at most ${reportLimits.bytes} bytes; send two.`;
  throw new ProblemError('too-large', detail);
}
