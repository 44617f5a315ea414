// What a service is given. Everything that a test wants to hold still (time, randomness, engines)
// comes through here; api/node.ts and api/worker.ts fill it in.

import type { GithubClaims, GithubIssuer } from './contract/github.ts';
import type { LaunchTarget } from './contract/targets.ts';
import type { Role } from './contract/tokens.ts';
import type { LogLevel } from './env.ts';
import type { RateLimits } from './http/rate-limits.ts';
import type { RandomBytes } from './ids.ts';
import type { Launcher } from './launchers/launcher.ts';
import type { Anchor } from './services/audit/head.ts';
import type { AuditKey } from './services/audit/signing.ts';
import type { Webhooks } from './services/webhooks/transport.ts';
import type { Database } from './store/database.ts';
import type { KeyClaim } from './store/idempotency-keys.ts';

export type Log = (level: LogLevel, message: string, fields?: Record<string, unknown>) => void;

/** A request as a log and measurements may know it; `actor` is the id of its token. */
export type Answered = {
  requestId: string;
  traceId: string;
  method: string;
  /** As OpenAPI writes it, `/v1/jobs/{id}`; `none` for a path that no route has. */
  route: string;
  status: number;
  actor: string | undefined;
};

/**
 * Called as a request arrives, with what the runtime gives beside it; what it answers is called
 * once, when there is an answer.
 */
export type Witness = (runtime: unknown) => (answered: Answered) => void;

export type Deps = {
  /** The same object in every request of one process: what its caches are kept by. */
  process: object;
  /**
   * The same, for work that one request begins and others wait for. In workerd it is a request's
   * own, since no request may wait for a promise of another there; absent: `process`.
   */
  sharedWork?: object;
  database: Database;
  now: () => Date;
  randomBytes: RandomBytes;
  targets: LaunchTarget[];
  /** The launcher behind a target, made on first use; throws ProblemError where none can be had. */
  launcherOf: (target: LaunchTarget) => Promise<Launcher>;
  publicUrl: string;
  /** GitHub Enterprise Servers whose tokens are read, beside github.com's. */
  githubIssuers?: GithubIssuer[];
  /** The audience that tokens of GitHub are made for; absent: the public URL. */
  githubAudience?: string;
  /** Signs the heads of audit chains; absent: they are not signed. */
  auditKey?: AuditKey;
  /** Where the tick writes the heads of audit chains; absent: nowhere. */
  anchor?: Anchor;
  /** How webhooks are kept and sent; absent: none can be made, and nothing is sent. */
  webhooks?: Webhooks;
  version: string;
  log: Log;
  /** Sees every request; absent: nobody does. */
  witness?: Witness;
  /** Absent: nobody is refused for asking too often. */
  rateLimits?: RateLimits;
  /** From where a request comes, as it is counted; absent: all from one place. */
  addressOf?: (request: {
    env: unknown;
    /** Headers X-Forwarded-For and CF-Connecting-IP. */
    forwarded: string | undefined;
    connecting: string | undefined;
  }) => string;
  /** Origins whose pages may read answers; absent or empty: none but its own. */
  corsOrigins?: string[];
  /** Of a request under an Idempotency-Key: every change that it makes is stored with this. */
  claim?: KeyClaim;
};

/** What a session of a GitHub workflow run may do: what its policy trusts the run with. */
export type GithubTrust = {
  policy: string;
  datasetId: string;
  dataset: string;
  aliases: string[];
  /** Null: every one. */
  targets: string[] | null;
  dryRunOnly: boolean;
  claims: GithubClaims;
};

/** Who asks: the person or machine named on every row and entry that the request writes. */
export type Actor = {
  workspaceId: string;
  workspaceName: string;
  name: string;
  role: Role;
  tokenId: string;
  /** Set where a workflow run asks; services/github/permit.ts says what it may. */
  github?: GithubTrust;
};
