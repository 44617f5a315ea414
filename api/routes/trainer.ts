// The trainer protocol. Its token is of one attempt, so these routes authenticate for themselves.

import { createRoute, z } from '@hono/zod-openapi';
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
import { type TrainerSession, trainerSession } from '../services/trainer/session.ts';
import { snapshotAnswer, snapshotFormats } from './snapshot-formats.ts';

const tags = ['trainer'];

/** `trainer` is the attempt of the request's token. */
type TrainerEnv = Env & { Variables: { trainer: TrainerSession } };

export function trainerRoutes() {
  const routes = router<TrainerEnv>();
  // The token is checked before the body: a stranger learns nothing from validation. It says in
  // which workspace everything after it happens.
  routes.use('/v1/trainer/*', async (c, next) => {
    const deps = c.get('service');
    const token = bearerToken(c.req.header('authorization'));
    const allowRevoked = c.req.path.endsWith('/finish');
    const session = await trainerSession(deps, token, { allowRevoked });
    c.set('trainer', session);
    c.set('deps', depsWithin(deps, session.job.workspaceId));
    c.set('tokenPassed', true);
    await next();
  });
  routes.use('/v1/trainer/*', bodyLimit({ maxSize: reportLimits.bytes, onError: tooLarge }));
  routes.use('/v1/trainer/*', storableBody);
  readingRoutes(routes);
  reportingRoutes(routes);
  return routes;
}

type Routes = ReturnType<typeof router<TrainerEnv>>;

function readingRoutes(routes: Routes): void {
  routes.openapi(
    createRoute({
      method: 'get',
      path: '/v1/trainer/job',
      tags,
      summary: "The attempt's job: settings, seed, snapshot header, labels, channels, groups",
      responses: { 200: json(trainerJobSchema, 'The job'), ...problems },
    }),
    async (c) => c.json((await readTrainerJob(c.get('deps'), c.get('trainer'))) as never, 200),
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
        c.get('trainer'),
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
    async (c) => (await ndjson(readTrainerCases(c.get('deps'), c.get('trainer')))) as never,
  );
}

function reportingRoutes(routes: Routes): void {
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
      const answer = await acceptReport(c.get('deps'), c.get('trainer'), c.req.valid('json'));
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
      const { accepted } = await acceptFinish(c.get('deps'), c.get('trainer'), c.req.valid('json'));
      return c.json({ accepted }, 200);
    },
  );
}

function tooLarge(): never {
  const detail = `A report has at most ${reportLimits.bytes} bytes; send two.`;
  throw new ProblemError('too-large', detail);
}
