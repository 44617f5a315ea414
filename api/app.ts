// The whole URL map on one screen. Nothing here or below imports node: the same app runs in
// workerd, on Node with Postgres, and on Node with PGlite.

import type { OpenAPIHono } from '@hono/zod-openapi';
import { requestId } from 'hono/request-id';
import type { Deps } from './deps.ts';
import { authenticated } from './http/auth.ts';
import type { Env } from './http/context.ts';
import { docsPage, type OpenApiDocument } from './http/docs-page.ts';
import { zipped } from './http/gzip.ts';
import { readableFrom, secured } from './http/headers.ts';
import { idempotent } from './http/idempotency.ts';
import { boundedBody, limitsText, shortAddress, timely } from './http/limits.ts';
import { unmatched } from './http/methods.ts';
import { permitted } from './http/permitted.ts';
import { problemAnswer } from './http/problem.ts';
import { type Budgets, rateLimited } from './http/rate-limits.ts';
import { authorized } from './http/roles.ts';
import { router } from './http/router.ts';
import { storableBody, storableUrl } from './http/texts.ts';
import { traced } from './http/traces.ts';
import { witnessed } from './http/witnessed.ts';
import { agentRoutes } from './routes/agents.ts';
import { aliasRoutes } from './routes/aliases.ts';
import { approvalRoutes } from './routes/approvals.ts';
import { auditRoutes } from './routes/audit.ts';
import { auditCheckRoutes } from './routes/audit-checks.ts';
import { caseUsageRoutes } from './routes/case-usage.ts';
import { caseRoutes } from './routes/cases.ts';
import { datasetRoutes } from './routes/datasets.ts';
import { diffRoutes } from './routes/diffs.ts';
import { githubExchangeRoutes, githubPolicyRoutes } from './routes/github.ts';
import { jobRoutes } from './routes/jobs.ts';
import { lineageRoutes } from './routes/lineage.ts';
import { recovered } from './routes/recovered.ts';
import { ruleSetRoutes } from './routes/rule-sets.ts';
import { scoreRoutes } from './routes/scores.ts';
import { shareRoutes } from './routes/shares.ts';
import { snapshotRoutes } from './routes/snapshots.ts';
import { splitRoutes } from './routes/splits.ts';
import { systemRoutes } from './routes/system.ts';
import { targetRoutes } from './routes/targets.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { trainerRoutes } from './routes/trainer.ts';
import { usageRoutes } from './routes/usage.ts';
import { versionRoutes } from './routes/versions.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { withdrawalRoutes } from './routes/withdrawals.ts';
import { workspaceRoutes } from './routes/workspaces.ts';
import { actorOfToken, depsOf } from './services/access.ts';
import { requirePermitted } from './services/github/permit.ts';
import { answerKeeper } from './services/idempotency.ts';

/** What may be as long as a dataset. */
const longAnswers = [
  '/v1/datasets/:dataset/versions/:n/cases',
  '/v1/snapshots/:snapshot/cases',
  '/v1/snapshots/:snapshot/draws',
  '/v1/audit/export',
  '/v1/trainer/snapshot',
  '/v1/trainer/cases',
];

/**
 * The app. Where requests bring their own `deps` only what concerns all of them is used of these:
 * handlers take `c.get('deps')`.
 */
export function createApp(deps: Deps): OpenAPIHono<Env> {
  const app = router();
  app.onError((error, c) => problemAnswer(c, error, deps.log));
  app.notFound((c) => problemAnswer(c, unmatched(c, app), deps.log));
  receive(app, deps);

  app.route('/', systemRoutes());
  const document = () => openApiDocument(app, deps.version, deps.rateLimits?.budgets);
  app.get('/openapi.json', (c) => c.json(document()));
  app.get('/docs', (c) => c.html(docsPage(document(), c.get('secureHeadersNonce'))));

  app.route('/', trainerRoutes()); // its own token, of one attempt
  app.route('/', githubExchangeRoutes()); // a token of GitHub, in its body
  admit(app);
  app.route('/', datasetRoutes());
  app.route('/', versionRoutes());
  app.route('/', caseRoutes());
  app.route('/', splitRoutes());
  app.route('/', scoreRoutes());
  app.route('/', ruleSetRoutes());
  app.route('/', snapshotRoutes());
  app.route('/', diffRoutes());
  app.route('/', shareRoutes());
  app.route('/', approvalRoutes());
  app.route('/', lineageRoutes());
  app.route('/', aliasRoutes());
  app.route('/', withdrawalRoutes());
  app.route('/', caseUsageRoutes());
  app.route('/', targetRoutes());
  app.route('/', jobRoutes());
  app.route('/', usageRoutes());
  app.route('/', agentRoutes());
  app.route('/', tokenRoutes());
  app.route('/', workspaceRoutes());
  app.route('/', githubPolicyRoutes());
  app.route('/', webhookRoutes());
  app.route('/', auditRoutes());
  app.route('/', auditCheckRoutes());
  return app;
}

/** What every request passes, before it is known who asks. */
function receive(app: OpenAPIHono<Env>, deps: Deps): void {
  app.use('*', requestId({ limitLength: 128 }), traced(), witnessed(deps.witness));
  app.use('*', async (c, next) => {
    c.set('service', c.env?.deps ?? deps);
    c.set('deps', c.get('service'));
    await next();
  });
  app.use('*', secured(deps));
  if (deps.corsOrigins?.length) app.use('*', readableFrom(deps.corsOrigins));
  app.use('*', shortAddress);
  app.use('*', async (c, next) => {
    const forwarded = c.req.header('x-forwarded-for');
    const connecting = c.req.header('cf-connecting-ip');
    c.set('address', deps.addressOf?.({ env: c.env, forwarded, connecting }) ?? 'unknown');
    await next();
  });
  app.use('*', rateLimited(deps.rateLimits));
  app.use('*', timely);
  app.use('*', storableUrl);
  for (const path of longAnswers) app.use(path, zipped());
}

/** What a request with a token of ours passes: who asks, whether they may, and only once. */
function admit(app: OpenAPIHono<Env>): void {
  app.use(
    '/v1/*',
    authenticated((token, c) => actorOfToken(c.get('service'), token)),
    async (c, next) => {
      c.set('deps', depsOf(c.get('service'), c.get('actor')));
      await next();
    },
  );
  app.use('/v1/*', authorized());
  app.use('/v1/*', boundedBody);
  app.use('/v1/*', storableBody);
  app.use('/v1/*', permitted(requirePermitted));
  app.use('/v1/*', (c, next) => idempotent(answerKeeper(c.get('service')), recovered)(c, next));
}

/** The OpenAPI 3.1 document of the app's routes. */
export function openApiDocument(
  app: OpenAPIHono<Env>,
  version: string,
  budgets?: Budgets,
): OpenApiDocument {
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
  });
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Counterweight',
      version,
      description: `Decides how often each training case is drawn and how much its loss counts, keeps every such decision as an immutable version, launches the jobs that use it, and proves that they did. ${limitsText(budgets)}`,
    },
    security: [{ bearer: [] }],
  }) as unknown as OpenApiDocument;
}
