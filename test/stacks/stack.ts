// One deployment of the service, whichever of the four it is, reached over HTTP on loopback.

import { generateKeyPairSync } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { sql } from 'drizzle-orm';
import { createApp } from '../../api/app.ts';
import { readGithubIssuers, readTargets } from '../../api/env.ts';
import { edgeLauncherRegistry } from '../../api/launchers/over-http.ts';
import { resolveName, sendToAddresses } from '../../api/node/webhooks.ts';
import { bootstrapAdmin } from '../../api/services/access.ts';
import { auditKeyOf } from '../../api/services/audit/signing.ts';
import { reconcileJobs } from '../../api/services/jobs/reconcile.ts';
import { deliverWebhooks } from '../../api/services/webhooks/deliver.ts';
import { type Database, type Orm, rows } from '../../api/store/database.ts';
import { readWebhooks } from '../../api/webhooks.ts';
import {
  awsTarget,
  type FakeAwsBatch,
  fakeCredential,
  startFakeAwsBatch,
} from '../support/fake-aws-batch.ts';
import { openGithubIssuer, type TestIssuer } from '../support/github-issuer.ts';
import { type NeonBridge, startNeonBridge } from '../support/neon-bridge.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { openReceiver, type Receiver } from '../support/webhook-receiver.ts';
import { webhookKey } from '../support/webhooks.ts';
import { startWorker } from '../support/worker.ts';

export type Stack = {
  url: string;
  /** What it says of itself at /health. */
  database: 'pglite' | 'postgres' | 'neon';
  adminToken: string;
  /** An engine that it launches on, target `cloud`. Agents launch on target `cluster`. */
  engine: FakeAwsBatch;
  /** A GitHub that it trusts, and for whom its tokens are made. */
  issuer: TestIssuer;
  audience: string;
  /** Somebody on this machine whom webhooks may tell. */
  receiver: Receiver;
  /** One tick of everything: Node's intervals, Cloudflare's cron. */
  tick: () => Promise<void>;
  /** How many connections it keeps at most; in workerd, for one request. */
  connections: number;
  /**
   * Sessions in Postgres that should not be there when nobody asks anything: on Node those in the
   * middle of something, in workerd all. None where it is embedded.
   */
  busySessions: () => Promise<string[]>;
  stop: () => Promise<void>;
};

const adminToken = 'cw_admin_of_every_stack';

const signingKey = generateKeyPairSync('ed25519').privateKey.export({
  type: 'pkcs8',
  format: 'pem',
}) as string;

/** What stands around a service: an engine, a GitHub, a receiver of webhooks. */
type Surroundings = Pick<Stack, 'engine' | 'issuer' | 'receiver'>;

const audience = 'https://weights.example.org';

async function openSurroundings(): Promise<Surroundings & { close: () => Promise<void> }> {
  const engine = await startFakeAwsBatch();
  const issuer = await openGithubIssuer();
  const receiver = await openReceiver();
  const close = async () => {
    issuer.close();
    await receiver.close();
    await engine.stop();
  };
  return { engine, issuer, receiver, close };
}

/** The environment of every stack: what stands around it, secrets, and a target of agents. */
function environmentOf({ engine, issuer }: Surroundings) {
  const credentials = { env: 'AWS_KEYS' };
  const cluster = { name: 'cluster', engine: 'agent', gpuTypes: ['h200'] };
  const cloud = awsTarget(engine, { name: 'cloud', credentials, pollSeconds: 1 });
  return {
    CW_TARGETS: JSON.stringify([cloud, cluster]),
    CW_PUBLIC_URL: audience,
    CW_AUDIT_SIGNING_KEY: signingKey,
    AWS_KEYS: fakeCredential,
    CW_GITHUB_ISSUERS: issuer.issuer,
    CW_WEBHOOK_KEY: webhookKey,
    CW_WEBHOOK_ALLOW: '127.0.0.1',
  };
}

/** The service on Node with a database. */
export async function startNodeStack(
  database: Database,
  { connections, owner }: { connections: number; owner?: Orm },
): Promise<Stack> {
  const { close, ...around } = await openSurroundings();
  const env = environmentOf(around);
  const deps = {
    process: {},
    database,
    now: () => new Date(),
    randomBytes: (count: number) => crypto.getRandomValues(new Uint8Array(count)),
    targets: readTargets(env.CW_TARGETS, () => ''),
    launcherOf: edgeLauncherRegistry(env),
    publicUrl: env.CW_PUBLIC_URL,
    auditKey: await auditKeyOf(signingKey),
    githubIssuers: readGithubIssuers(env.CW_GITHUB_ISSUERS),
    webhooks: await readWebhooks(
      { key: env.CW_WEBHOOK_KEY, allow: env.CW_WEBHOOK_ALLOW },
      { send: sendToAddresses, resolve: resolveName },
    ),
    version: 'test',
    log: () => {},
  };
  await bootstrapAdmin(deps, adminToken);
  const server = serve({ fetch: createApp(deps).fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise<void>((resolve) => server.on('listening', () => resolve()));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    database: database.kind,
    adminToken,
    ...around,
    audience,
    tick: async () => {
      await reconcileJobs(deps);
      await deliverWebhooks(deps);
    },
    connections,
    busySessions: async () =>
      (owner === undefined ? [] : await sessionsOf(owner)).filter(
        (one) => !one.startsWith('idle:'),
      ),
    stop: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      (server as Server).closeAllConnections();
      await closed;
      await close();
      await database.close();
    },
  };
}

/** The service inside workerd, on a Postgres behind a bridge. */
export async function startWorkerStack({ postgres, bridge }: Neon): Promise<Stack> {
  const { close, ...around } = await openSurroundings();
  const worker = await startWorker({
    ...environmentOf(around),
    DATABASE_URL: postgres.urls.service,
    CW_NEON_PROXY: bridge.proxy,
    CW_ADMIN_TOKEN: adminToken,
  });
  const tick = async () => {
    const outcome = await worker.cron();
    if (outcome !== 'ok') throw new Error(`cron: ${outcome}`);
  };
  await tick(); // makes the admin
  return {
    url: worker.url,
    database: 'neon',
    adminToken,
    ...around,
    audience,
    tick,
    connections: 2,
    busySessions: () => sessionsOf(postgres.owner.orm),
    stop: async () => {
      await worker.stop();
      await close();
    },
  };
}

/** A Postgres and the bridge that the Neon driver reaches it by. */
export type Neon = { postgres: TestPostgres; bridge: NeonBridge; stop: () => Promise<void> };

export async function startNeon(): Promise<Neon> {
  const postgres = await startPostgres();
  const bridge = await startNeonBridge(postgres.port);
  return {
    postgres,
    bridge,
    stop: async () => {
      await bridge.stop();
      await postgres.stop();
    },
  };
}

async function sessionsOf(owner: Orm): Promise<string[]> {
  const found = await rows<{ said: string }>(
    owner,
    sql`select state || ': ' || query as said from pg_stat_activity
      where usename = 'counterweight'`,
  );
  return found.map(({ said }) => said);
}
