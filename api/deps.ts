// What a service is given. Everything that a test wants to hold still (time, randomness, engines)
// comes through here; api/node.ts and api/worker.ts fill it in.

import type { LaunchTarget } from './contract/targets.ts';
import type { Role } from './contract/tokens.ts';
import type { RateLimits } from './http/rate-limits.ts';
import type { RandomBytes } from './ids.ts';
import type { Launcher } from './launchers/launcher.ts';
import type { Anchor } from './services/audit/head.ts';
import type { AuditKey } from './services/audit/signing.ts';
import type { Database } from './store/database.ts';
import type { KeyClaim } from './store/idempotency-keys.ts';

export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void;

export type Deps = {
  /** The same object in every request of one process: what its caches are kept by. */
  process: object;
  database: Database;
  now: () => Date;
  randomBytes: RandomBytes;
  targets: LaunchTarget[];
  /** The launcher behind a target, made on first use; throws ProblemError where none can be had. */
  launcherOf: (target: LaunchTarget) => Promise<Launcher>;
  publicUrl: string;
  /** Signs the heads of audit chains; absent: they are not signed. */
  auditKey?: AuditKey;
  /** Where the tick writes the heads of audit chains; absent: nowhere. */
  anchor?: Anchor;
  version: string;
  log: Log;
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

/** Who asks: the person or machine named on every row and entry that the request writes. */
export type Actor = {
  workspaceId: string;
  name: string;
  role: Role;
  tokenId: string;
};
