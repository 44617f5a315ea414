// What a service is given. Everything that a test wants to hold still (time, randomness, engines)
// comes through here; api/node.ts and api/worker.ts fill it in.

import type { LaunchTarget } from './contract/targets.ts';
import type { Role } from './contract/tokens.ts';
import type { RandomBytes } from './ids.ts';
import type { Launcher } from './launchers/launcher.ts';
import type { Anchor } from './services/audit/head.ts';
import type { AuditKey } from './services/audit/signing.ts';
import type { Database } from './store/database.ts';

export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, unknown>,
) => void;

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
  /** Signs the heads of audit chains; absent: they are not signed. */
  auditKey?: AuditKey;
  /** Where the tick writes the heads of audit chains; absent: nowhere. */
  anchor?: Anchor;
  version: string;
  log: Log;
};

/** Who asks: the person or machine named on every row and entry that the request writes. */
export type Actor = {
  workspaceId: string;
  name: string;
  role: Role;
  tokenId: string;
};
