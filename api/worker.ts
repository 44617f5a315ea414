// The workerd entry: a database handle per request, closed after the answer has been sent, because
// a socket of one request may not be used by another there. Launching from workerd goes through
// engines that answer over HTTP; a local child process is a Node launcher.

import { readAnchor } from './anchors.ts';
import { createApp } from './app.ts';
import type { Deps, Log } from './deps.ts';
import { readGithubIssuers, readTargets } from './env.ts';
import { ProblemError } from './errors.ts';
import { keyOf } from './http/client-address.ts';
import { readOrigins } from './http/headers.ts';
import { readBudgets } from './http/rate-limits.ts';
import { createAgentLauncher } from './launchers/agent.ts';
import { bootstrapAdmin } from './services/access.ts';
import { anchorHeads } from './services/audit/head.ts';
import { auditKeyOf } from './services/audit/signing.ts';
import { reconcileJobs } from './services/jobs/reconcile.ts';
import { bindingLimiter, type RateLimitBinding } from './services/rate-limits.ts';
import { deliverWebhooks, forgetDeliveries } from './services/webhooks/deliver.ts';
import type { Database } from './store/database.ts';
import { openNeon } from './store/open-neon.ts';
import { readWebhooks, sendByFetch } from './webhooks.ts';

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
};

type Context = { waitUntil: (work: Promise<unknown>) => void };

const log: Log = (level, message, fields = {}) => {
  const cause = fields.cause instanceof Error ? fields.cause.message : undefined;
  console.log(JSON.stringify({ level, message, ...fields, cause }));
};

/** Tokens that were valid lately, for as long as this isolate lives. */
const lately = new Set<string>();

// Cloudflare says from where a request comes in a header that it alone writes.
function doors(env: Bindings): Pick<Deps, 'rateLimits' | 'addressOf' | 'corsOrigins'> {
  const { CW_RATE_LIMIT: token, CW_RATE_LIMIT_TRAINER: trainer } = env;
  const budgets = readBudgets(env.CW_RATE_LIMITS);
  const corsOrigins = readOrigins(env.CW_CORS_ORIGINS);
  if (token === undefined || budgets === null) return { corsOrigins };
  const limiter = bindingLimiter({ token, trainer, address: env.CW_RATE_LIMIT_ADDRESS });
  const rateLimits = { budgets, limiter, lately };
  return { rateLimits, addressOf: ({ connecting }) => keyOf(connecting ?? 'unknown'), corsOrigins };
}

async function requestDeps(env: Bindings, database: Database): Promise<Deps> {
  return {
    process: {},
    database,
    now: () => new Date(),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    targets: readTargets(env.CW_TARGETS ?? '[]', (path) => {
      throw new Error(`workerd reads no files: give ${path} as JSON`);
    }),
    launcherOf: async (target) => {
      if (target.engine === 'agent') return createAgentLauncher(target);
      throw new ProblemError(
        'launcher-failed',
        `Target "${target.name}" (${target.engine}) cannot be reached from this deployment; use the Node deployment, or an agent beside the engine.`,
      );
    },
    publicUrl: env.CW_PUBLIC_URL ?? '',
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

// Without a database the service still describes itself; /health then answers 503.
function openDatabase(env: Bindings): Database {
  return openNeon({ url: env.DATABASE_URL ?? 'postgres://nobody@database.invalid/none' });
}

// A streamed answer still reads from the database after fetch has returned.
function closedAfter(response: Response, close: () => void): Response {
  if (response.body === null) {
    close();
    return response;
  }
  const ended = new TransformStream<Uint8Array, Uint8Array>();
  response.body
    .pipeTo(ended.writable)
    .catch(() => undefined)
    .finally(close);
  return new Response(ended.readable, response);
}

export default {
  async fetch(request: Request, env: Bindings, context: Context): Promise<Response> {
    const database = openDatabase(env);
    const deps = await requestDeps(env, database);
    const response = await createApp(deps).fetch(request, env);
    return closedAfter(response, () => context.waitUntil(database.close()));
  },

  async scheduled(_event: unknown, env: Bindings, context: Context): Promise<void> {
    const database = openDatabase(env);
    const deps = await requestDeps(env, database);
    const tick = bootstrapAdmin(deps, env.CW_ADMIN_TOKEN).then(() =>
      Promise.all([
        reconcileJobs(deps),
        anchorHeads(deps),
        deliverWebhooks(deps),
        forgetDeliveries(deps),
      ]),
    );
    context.waitUntil(tick.finally(() => database.close()));
    await tick;
  },
};
