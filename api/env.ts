// The environment of `npm start`, read once and checked; a wrong value stops the start with a
// sentence that names the variable.

import { type GithubIssuer, githubIssuersSchema } from './contract/github.ts';
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
  /** False: the start does not migrate, it only looks whether somebody has. */
  migrate: boolean;
  dataDir: string;
  adminToken: string | undefined;
  targets: LaunchTarget[];
  publicUrl: string | undefined;
  /** PKCS8, as PEM or base64. */
  auditSigningKey: string | undefined;
  auditAnchor: string | undefined;
  /** Where Prometheus may ask; absent: nowhere. */
  metrics: { host: string; port: number } | undefined;
  logLevel: LogLevel;
  githubIssuers: GithubIssuer[];
  githubAudience: string | undefined;
  /** 32 bytes in base64, several after commas. */
  webhookKey: string | undefined;
  webhookAllow: string | undefined;
  /** Null: nobody is refused for asking too often. */
  budgets: Budgets | null;
  trustedProxies: ReturnType<typeof readNetworks>;
  corsOrigins: string[];
};

/** From much to little; `debug` has requests for /health too. */
export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];

/** Reads the environment. `readFile` is passed in, so that this file stays free of node. */
export function readEnvironment(
  env: Record<string, string | undefined>,
  readFile: (path: string) => string,
): Settings {
  const secretOf = (name: string) => secret({ name, text: env[name] }, readFile);
  const databaseUrl = secretOf('DATABASE_URL');
  const port = Number(env.PORT ?? '8787');
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`PORT must be a port number from 0 to 65535, not "${env.PORT}"`);
  }
  return {
    port,
    listen: listenAddress(env.CW_LISTEN),
    databaseUrl,
    databaseOwnerUrl: ownerUrl(secretOf('DATABASE_OWNER_URL'), databaseUrl),
    migrate: migrates(env),
    dataDir: env.CW_DATA_DIR ?? '.counterweight',
    adminToken: secretOf('CW_ADMIN_TOKEN'),
    targets: readTargets(env.CW_TARGETS, readFile),
    publicUrl: env.CW_PUBLIC_URL,
    auditSigningKey: secretOf('CW_AUDIT_SIGNING_KEY'),
    auditAnchor: env.CW_AUDIT_ANCHOR || undefined,
    metrics: metricsAddress(env.CW_METRICS),
    logLevel: logLevel(env.CW_LOG),
    githubIssuers: readGithubIssuers(env.CW_GITHUB_ISSUERS),
    githubAudience: env.CW_GITHUB_AUDIENCE || undefined,
    webhookKey: secretOf('CW_WEBHOOK_KEY'),
    webhookAllow: env.CW_WEBHOOK_ALLOW || undefined,
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

function ownerUrl(url: string | undefined, serviceUrl: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  if (serviceUrl === undefined) throw new Error('DATABASE_OWNER_URL needs DATABASE_URL beside it');
  const user = (text: string) => decodeURIComponent(new URL(text).username);
  if (user(url) !== user(serviceUrl)) return url;
  throw new Error('DATABASE_URL and DATABASE_OWNER_URL must name two different roles');
}

function migrates({ CW_MIGRATE, DATABASE_URL }: Record<string, string | undefined>): boolean {
  if (!CW_MIGRATE || CW_MIGRATE === 'on') return true;
  if (CW_MIGRATE !== 'off') throw new Error(`CW_MIGRATE must be on or off, not "${CW_MIGRATE}"`);
  if (DATABASE_URL) return false;
  throw new Error('CW_MIGRATE=off needs DATABASE_URL: nobody else can migrate embedded PGlite');
}

function metricsAddress(text: string | undefined): Settings['metrics'] {
  if (!text) return undefined;
  const [, host, digits] = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (host !== undefined && port <= 65535) return { host: host.replace(/^\[|\]$/g, ''), port };
  throw new Error(`CW_METRICS must be an address and a port, as 127.0.0.1:9464, not "${text}"`);
}

function logLevel(text: string | undefined): LogLevel {
  const level = text || 'info';
  const known = logLevels.find((one) => one === level);
  if (known !== undefined) return known;
  throw new Error(`CW_LOG must be one of ${logLevels.join(', ')}, not "${text}"`);
}

// The value itself, or file:PATH of one: a secret in a file stands in no list of processes.
function secret(
  { name, text }: { name: string; text: string | undefined },
  readFile: (path: string) => string,
): string | undefined {
  if (!text?.startsWith('file:')) return text || undefined;
  const path = text.slice('file:'.length);
  try {
    const value = readFile(path).trim();
    if (value !== '') return value;
    throw new Error('it is empty');
  } catch (cause) {
    const why = (cause as Error).message;
    throw new Error(`the file ${path} named by ${name} cannot be read: ${why}`, { cause });
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

/** CW_GITHUB_ISSUERS: addresses between commas, or a JSON list where keys are served elsewhere. */
export function readGithubIssuers(text: string | undefined): GithubIssuer[] {
  if (text === undefined || text.trim() === '') return [];
  let value: unknown;
  try {
    value = text.trim().startsWith('[') ? JSON.parse(text) : text.split(',').map((s) => s.trim());
  } catch (cause) {
    const why = (cause as Error).message;
    throw new Error(`the JSON in CW_GITHUB_ISSUERS cannot be read: ${why}`, { cause });
  }
  const parsed = githubIssuersSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [{ path, message }] = parsed.error.issues;
  const where = path.length === 0 ? '' : `number ${Number(path[0]) + 1}: `;
  throw new Error(`CW_GITHUB_ISSUERS: ${where}${message}`);
}

function calledIn(targets: unknown[], place: number): string {
  const name = (targets[place] as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? `target "${name}"` : `target number ${place + 1}`;
}

const localTarget = { name: 'local', engine: 'local' };
