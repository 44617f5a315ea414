// The workerd entry: a database handle per request, closed after its answer has been sent, because
// a socket of one request may not be used by another there. What is kept between requests holds no
// socket and no promise. Cron is the tick.

import { requestId } from 'hono/request-id';
import { readAnchor } from './anchors.ts';
import { createApp } from './app.ts';
import type { Deps, Log } from './deps.ts';
import { readGithubIssuers, readTargets } from './env.ts';
import { ProblemError } from './errors.ts';
import { keyOf } from './http/client-address.ts';
import { readOrigins } from './http/headers.ts';
import { problemAnswer } from './http/problem.ts';
import { readBudgets } from './http/rate-limits.ts';
import { router } from './http/router.ts';
import { edgeLauncherRegistry } from './launchers/over-http.ts';
import { bootstrapAdmin } from './services/access.ts';
import { anchorHeads } from './services/audit/head.ts';
import { auditKeyOf } from './services/audit/signing.ts';
import { requireMigrated } from './services/health.ts';
import { reconcileJobs } from './services/jobs/reconcile.ts';
import { bindingLimiter, type RateLimitBinding } from './services/rate-limits.ts';
import { deliverWebhooks, forgetDeliveries } from './services/webhooks/deliver.ts';
import type { Database } from './store/database.ts';
import { openNeon } from './store/open-neon.ts';
import { readWebhooks, sendByFetch } from './webhooks.ts';

/** Variables and secrets of the Worker; what the credentials of targets name stands here too. */
type Bindings = {
  DATABASE_URL?: string;
  CW_ADMIN_TOKEN?: string;
  CW_TARGETS?: string;
  CW_PUBLIC_URL?: string;
  CW_VERSION?: string;
  CW_AUDIT_SIGNING_KEY?: string;
  CW_AUDIT_ANCHOR?: string;
  CW_GITHUB_ISSUERS?: string;
  CW_GITHUB_AUDIENCE?: string;
  CW_WEBHOOK_KEY?: string;
  CW_WEBHOOK_ALLOW?: string;
  CW_RATE_LIMIT?: RateLimitBinding;
  CW_RATE_LIMIT_TRAINER?: RateLimitBinding;
  CW_RATE_LIMIT_ADDRESS?: RateLimitBinding;
  CW_RATE_LIMITS?: string;
  CW_CORS_ORIGINS?: string;
  CW_NEON_PROXY?: string;
  [name: string]: unknown;
};

type Context = { waitUntil: (work: Promise<unknown>) => void };

const log: Log = (level, message, fields = {}) => {
  const { cause, ...rest } = fields;
  console.log(JSON.stringify({ level, message, ...rest, ...causesOf(cause) }));
};

// From the outermost to the innermost; drizzle's own message is the query with its values.
function causesOf(cause: unknown): { causes?: string[] } {
  const causes: string[] = [];
  for (let one = cause; one instanceof Error; one = one.cause) {
    if (!('query' in one)) causes.push(one.message);
  }
  return causes.length === 0 ? {} : { causes };
}

// Cloudflare says from where a request comes in a header that it alone writes.
function doors(env: Bindings): Pick<Deps, 'rateLimits' | 'addressOf' | 'corsOrigins'> {
  const { CW_RATE_LIMIT: token, CW_RATE_LIMIT_TRAINER: trainer } = env;
  const budgets = readBudgets(env.CW_RATE_LIMITS);
  const corsOrigins = readOrigins(env.CW_CORS_ORIGINS);
  if (token === undefined || budgets === null) return { corsOrigins };
  const limiter = bindingLimiter({ token, trainer, address: env.CW_RATE_LIMIT_ADDRESS });
  const rateLimits = { budgets, limiter, lately: new Set<string>() };
  return { rateLimits, addressOf: ({ connecting }) => keyOf(connecting ?? 'unknown'), corsOrigins };
}

type Configuration = Omit<Deps, 'database' | 'launcherOf' | 'sharedWork'>;

/** Throws a sentence that names the variable which is wrong. */
async function readConfiguration(env: Bindings): Promise<Configuration> {
  const targets = readTargets(env.CW_TARGETS || '[]', (path) => {
    throw new Error(`there are no files here, so not "${path}"; give the JSON itself`);
  });
  const publicUrl = env.CW_PUBLIC_URL ?? '';
  const unreached = targets.find(({ api }) => api === undefined);
  if (publicUrl === '' && unreached !== undefined) {
    throw new Error(
      `CW_PUBLIC_URL is not set: trainers of target "${unreached.name}" need the address of this Worker`,
    );
  }
  return {
    process: {},
    now: () => new Date(),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    targets,
    publicUrl,
    auditKey: await auditKeyOf(env.CW_AUDIT_SIGNING_KEY),
    anchor: readAnchor(env.CW_AUDIT_ANCHOR),
    githubIssuers: readGithubIssuers(env.CW_GITHUB_ISSUERS),
    githubAudience: env.CW_GITHUB_AUDIENCE || undefined,
    webhooks: await readWebhooks(
      { key: env.CW_WEBHOOK_KEY, allow: env.CW_WEBHOOK_ALLOW },
      { send: sendByFetch },
    ),
    version: env.CW_VERSION ?? 'unknown',
    log,
    ...doors(env),
  };
}

/** What an isolate keeps: making the app takes longer than most answers. Bindings never change. */
type Isolate = { configuration: Configuration; app: ReturnType<typeof createApp> };
const isolates = new WeakMap<Bindings, Isolate>();

async function isolateOf(env: Bindings): Promise<Isolate> {
  const known = isolates.get(env);
  if (known !== undefined) return known;
  const configuration = await readConfiguration(env);
  const isolate = {
    configuration,
    app: createApp({ ...configuration, database: noDatabase, launcherOf: ofNoRequest }),
  };
  isolates.set(env, isolate);
  return isolate;
}

function ofNoRequest(): never {
  throw new Error("a handler has to use c.get('deps'), not what createApp was given");
}

const noDatabase: Database = {
  kind: 'neon',
  get orm() {
    return ofNoRequest();
  },
  within: ofNoRequest,
  script: ofNoRequest,
  session: ofNoRequest,
  close: ofNoRequest,
};

type Served = { app: Isolate['app']; deps: Deps };

/** What a request is served with. Throws `unavailable` where the bindings are wrong. */
async function served(env: Bindings): Promise<Served> {
  try {
    const { app, configuration } = await isolateOf(env);
    if (!env.DATABASE_URL) throw new Error('DATABASE_URL is not set');
    const database = openNeon({ url: env.DATABASE_URL, proxy: env.CW_NEON_PROXY });
    const own = { database, launcherOf: edgeLauncherRegistry(env), sharedWork: {} };
    return { app, deps: { ...configuration, ...own } };
  } catch (cause) {
    const detail =
      'This deployment is not configured as it has to be; its log says what is wrong, under this requestId.';
    throw new ProblemError('unavailable', detail, { cause });
  }
}

// Whoever asks sees a problem document in any case; the log has the reason.
async function refusal(request: Request, problem: unknown): Promise<Response> {
  const app = router();
  app.use('*', requestId());
  app.onError((error, c) => problemAnswer(c, error, log));
  app.all('*', () => {
    throw problem;
  });
  return await app.fetch(request);
}

async function answered(request: Request, { app, deps }: Served): Promise<Response> {
  // The reference describes the service without a database; /health looks for itself.
  if (new URL(request.url).pathname.startsWith('/v1/')) await requireMigrated(deps);
  return await app.fetch(request, { deps });
}

/**
 * Workerd's own: what is written to it fails when the client has gone away. A plain TransformStream
 * does not always tell, and `pipeTo` to this one loses what was cloned before.
 */
declare const IdentityTransformStream: { new (): TransformStream<Uint8Array, Uint8Array> };

async function pump(
  body: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
): Promise<void> {
  const reader = body.getReader();
  const writer = writable.getWriter();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      await writer.write(next.value);
    }
    await writer.close();
  } catch (cause) {
    log('warn', 'an answer was broken off, by its client or by what it was made from', { cause });
    // Not waited for: what hangs here would keep the connection open.
    reader.cancel(cause).catch(() => undefined);
    writer.abort(cause).catch(() => undefined);
  }
}

/** The answer, and a promise of its end: sent, or given up by the client. */
function untilSent(response: Response): { response: Response; ended: Promise<void> } {
  if (response.body === null) return { response, ended: Promise.resolve() };
  const { readable, writable } = new IdentityTransformStream();
  const ended = pump(response.body, writable);
  // What is zipped is zipped: workerd would do it again.
  const encodeBody = response.headers.has('content-encoding') ? 'manual' : 'automatic';
  const { status, statusText, headers } = response;
  const init = { status, statusText, headers, encodeBody };
  return { response: new Response(readable, init), ended };
}

/** What each tick does, and what the log says where that fails. */
const works: { failed: string; work: (deps: Deps) => Promise<unknown> }[] = [
  { failed: 'the reconciliation tick failed', work: reconcileJobs },
  { failed: 'the heads of the audit chains could not be read', work: anchorHeads },
  { failed: 'webhooks could not be delivered', work: deliverWebhooks },
  { failed: 'old deliveries of webhooks could not be deleted', work: forgetDeliveries },
];

/** One tick: what can be done is done, then the first failure is thrown, for Cloudflare to show. */
async function tick(deps: Deps, adminToken: string | undefined): Promise<void> {
  await requireMigrated(deps);
  const admin = {
    failed: 'CW_ADMIN_TOKEN could not be made a token of an admin',
    // Without one a token would be made up here that nobody ever sees.
    work: async () => adminToken && (await bootstrapAdmin(deps, adminToken)),
  };
  const done = await Promise.allSettled(
    [admin, ...works].map(async ({ failed, work }) => {
      await work(deps).catch((cause: unknown) => {
        log('error', failed, { cause });
        throw cause;
      });
    }),
  );
  for (const one of done) if (one.status === 'rejected') throw one.reason;
}

export default {
  async fetch(request: Request, env: Bindings, context: Context): Promise<Response> {
    let by: Served;
    try {
      by = await served(env);
    } catch (problem) {
      return await refusal(request, problem);
    }
    const sent = answered(request, by)
      .catch((problem: unknown) => refusal(request, problem))
      .then(untilSent);
    // Told at once: a client that goes away breaks off neither what it began nor the closing.
    context.waitUntil(sent.then(({ ended }) => ended).finally(() => by.deps.database.close()));
    return (await sent).response;
  },

  async scheduled(_event: unknown, env: Bindings): Promise<void> {
    const { deps } = await served(env);
    try {
      await tick(deps, env.CW_ADMIN_TOKEN);
    } finally {
      await deps.database.close();
    }
  },
};
