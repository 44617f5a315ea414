// The environment of `npm start`, read once and checked; a wrong value stops the start with a
// sentence that names the variable.

import { type LaunchTarget, launchTargetsSchema } from './contract/targets.ts';
import { readNetworks } from './http/client-address.ts';
import { readOrigins } from './http/headers.ts';
import { type Budgets, readBudgets } from './http/rate-limits.ts';

export type Settings = {
  port: number;
  /** Address of this machine to listen on. */
  listen: string;
  databaseUrl: string | undefined;
  databaseOwnerUrl: string | undefined;
  dataDir: string;
  adminToken: string | undefined;
  targets: LaunchTarget[];
  publicUrl: string | undefined;
  /** PKCS8, as PEM or base64. */
  auditSigningKey: string | undefined;
  auditAnchor: string | undefined;
  /** Null: nobody is refused for asking too often. */
  budgets: Budgets | null;
  trustedProxies: ReturnType<typeof readNetworks>;
  corsOrigins: string[];
};

/** Reads the environment. `readFile` is passed in, so that this file stays free of node. */
export function readEnvironment(
  env: Record<string, string | undefined>,
  readFile: (path: string) => string,
): Settings {
  const port = Number(env.PORT ?? '8787');
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`PORT must be a port number from 0 to 65535, not "${env.PORT}"`);
  }
  return {
    port,
    listen: listenAddress(env.CW_LISTEN),
    databaseUrl: env.DATABASE_URL || undefined,
    databaseOwnerUrl: ownerUrl(env),
    dataDir: env.CW_DATA_DIR ?? '.counterweight',
    adminToken: env.CW_ADMIN_TOKEN || undefined,
    targets: readTargets(env.CW_TARGETS, readFile),
    publicUrl: env.CW_PUBLIC_URL,
    auditSigningKey: signingKey(env.CW_AUDIT_SIGNING_KEY, readFile),
    auditAnchor: env.CW_AUDIT_ANCHOR || undefined,
    budgets: readBudgets(env.CW_RATE_LIMITS),
    trustedProxies: readNetworks(env.CW_TRUSTED_PROXIES),
    corsOrigins: readOrigins(env.CW_CORS_ORIGINS),
  };
}

function listenAddress(text: string | undefined): string {
  const address = text || '127.0.0.1';
  if (/^[0-9a-fA-F:.]+$/.test(address) || /^[A-Za-z0-9.-]+$/.test(address)) return address;
  throw new Error(`CW_LISTEN must be an address of this machine, as 127.0.0.1, not "${text}"`);
}

function ownerUrl(env: Record<string, string | undefined>): string | undefined {
  const url = env.DATABASE_OWNER_URL || undefined;
  if (url === undefined) return undefined;
  if (!env.DATABASE_URL) throw new Error('DATABASE_OWNER_URL needs DATABASE_URL beside it');
  const user = (text: string) => decodeURIComponent(new URL(text).username);
  if (user(url) !== user(env.DATABASE_URL)) return url;
  throw new Error('DATABASE_URL and DATABASE_OWNER_URL must name two different roles');
}

// The key itself, or file:PATH.
function signingKey(
  text: string | undefined,
  readFile: (path: string) => string,
): string | undefined {
  if (!text?.startsWith('file:')) return text || undefined;
  const path = text.slice('file:'.length);
  try {
    return readFile(path);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new Error(`the file ${path} named by CW_AUDIT_SIGNING_KEY cannot be read: ${why}`, {
      cause,
    });
  }
}

/** CW_TARGETS: JSON, or the path of a JSON file; absent means one local target. */
export function readTargets(
  text: string | undefined,
  readFile: (path: string) => string,
): LaunchTarget[] {
  if (text === undefined || text.trim() === '') return launchTargetsSchema.parse([localTarget]);
  const inline = /^\s*[[{]/.test(text);
  let value: unknown;
  try {
    value = JSON.parse(inline ? text : readFile(text));
  } catch (cause) {
    const what = inline ? 'the JSON in CW_TARGETS' : `the file ${text} named by CW_TARGETS`;
    throw new Error(`${what} cannot be read: ${(cause as Error).message}`, { cause });
  }
  const parsed = launchTargetsSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  if (!Array.isArray(value)) throw new Error('CW_TARGETS is a list of targets: put it in [ ]');
  const [{ path, message }] = parsed.error.issues;
  const [place, ...field] = path;
  const where = place === undefined ? [] : [calledIn(value, Number(place)), field.join('/')];
  throw new Error(
    `CW_TARGETS: ${[where.filter(Boolean).join(', '), message].filter(Boolean).join(': ')}`,
  );
}

function calledIn(targets: unknown[], place: number): string {
  const name = (targets[place] as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? `target "${name}"` : `target number ${place + 1}`;
}

const localTarget = { name: 'local', engine: 'local' };
