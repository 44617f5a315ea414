// Every operation of the OpenAPI document with a request that passes its schema, so that one value
// at a time can be replaced by something hostile.

import { openApiDocument } from '../../api/app.ts';
import type { TestApp } from '../support/app.ts';
import { rules } from '../support/builders.ts';
import { policyBody } from '../support/github.ts';

export type Operation = {
  method: string;
  path: string;
  /** An honest body, or undefined where it takes none. */
  body: unknown;
};

const settings = { epochs: 2, drawsPerEpoch: 8, batchSize: 2 };
const attributes = {
  site: { type: 'string', unit: 'm', origin: { model: 'm', evidence: 'outOfFold', split: 's' } },
};

/** An honest body per route that takes a JSON document; a test says which routes have none. */
const bodies: Record<string, unknown> = {
  'POST /v1/datasets': {
    name: 'honest',
    description: 'd',
    labels: { background: 0, organ: [1, 2] },
    channels: { '0': 'CT' },
    subjectAttribute: 'site',
    attributes,
  },
  'PUT /v1/datasets/{dataset}/attributes/{name}': { ...attributes.site, reason: 'r' },
  'POST /v1/datasets/{dataset}/versions': { base: 1, reason: 'r' },
  'POST /v1/datasets/{dataset}/versions/{n}/commit': { reason: 'r' },
  'POST /v1/datasets/{dataset}/rule-sets/check': { rules },
  'POST /v1/datasets/{dataset}/rule-sets': { name: 'rare', rules, reason: 'r' },
  'POST /v1/datasets/{dataset}/rule-sets/copy': {
    from: { dataset: 'phantom', ruleSet: 'rare@1' },
    name: 'copied',
    reason: 'r',
  },
  'POST /v1/datasets/{dataset}/what-if': { version: 1, split: 'five-fold', fold: 0, rules },
  'POST /v1/datasets/{dataset}/snapshots': {
    version: 1,
    split: 'five-fold',
    fold: 0,
    ruleSet: 'rare@1',
    reason: 'r',
  },
  'POST /v1/datasets/{dataset}/withdrawals': { caseId: 'case_0000', reason: 'r' },
  'PUT /v1/datasets/{dataset}/aliases/{alias}': { snapshots: { '0': 'SNAPSHOT' }, reason: 'r' },
  'POST /v1/snapshots/{snapshot}/approvals': { meaning: 'use', reason: 'r' },
  'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke': { reason: 'r' },
  'POST /v1/jobs': {
    snapshot: 'SNAPSHOT',
    target: 'local',
    seed: 1,
    settings: { trainer: 'counterweight', ...settings },
    resources: { gpus: { count: 1, type: 'a' }, cpus: 1 },
    monitors: {},
    reason: 'r',
    dryRun: true,
  },
  'POST /v1/jobs/{id}/cancel': { reason: 'r' },
  'POST /v1/jobs/{id}/retry': { reason: 'r', acceptWithdrawn: true },
  'POST /v1/agents/{target}/claim': { agent: 'a', version: 'v', most: 0 },
  'POST /v1/agents/attempts/{id}/state': { agent: 'a', state: 'running', detail: 'd' },
  'POST /v1/tokens': {
    name: 'n',
    actor: 'somebody',
    role: 'reader',
    expiresAt: '2030-01-01T00:00:00Z',
  },
  'POST /v1/workspaces': { name: 'w', actor: 'somebody', reason: 'r' },
  'POST /v1/github/exchange': { token: 'no.such.token', policy: 'p' },
  'POST /v1/github/policies': {
    ...policyBody,
    environments: ['e'],
    workflow: '.github/workflows/train.yml@refs/heads/main',
    targets: ['local'],
  },
  'POST /v1/webhooks': { url: 'https://hooks.example.org/', events: ['job.*'], reason: 'r' },
  'POST /v1/webhooks/{id}/enable': { reason: 'r' },
  'POST /v1/trainer/reports': {
    sequence: 1,
    metrics: [{ name: 'loss', value: 1, step: 1, epoch: 0, group: 'g', class: 'c' }],
    caseLosses: [{ id: 'case_0001', loss: 1, seen: 1 }],
    log: 'l',
    progress: { step: 1, steps: 2 },
  },
  'POST /v1/trainer/finish': { outcome: 'failed', summary: { text: 's' }, error: 'e' },
};

/** Operations of the document, with an honest body where one is known. */
export function operationsOf(api: TestApp, snapshot: string): Operation[] {
  const { paths = {} } = openApiDocument(api.app, 'test');
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((name) => {
      const method = name.toUpperCase();
      const text = JSON.stringify(bodies[`${method} ${path}`] ?? null);
      const body = JSON.parse(text.replaceAll('SNAPSHOT', snapshot)) ?? undefined;
      return { method, path, body };
    }),
  );
}

/** Operations whose document says that they take JSON, and that have no honest body here. */
export function withoutBody(api: TestApp): string[] {
  const { paths = {} } = openApiDocument(api.app, 'test');
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([, { requestBody }]) => requestBody?.content?.['application/json'] !== undefined)
      .map(([method]) => `${method.toUpperCase()} ${path}`)
      .filter((route) => !(route in bodies)),
  );
}

/** The address of an operation, its places filled with things that are there. */
export function addressOf({ path }: Operation, snapshot: string): string {
  return path
    .replace('{dataset}', 'phantom')
    .replace('{n}', '1')
    .replace('{snapshot}', snapshot)
    .replace('{a}', snapshot)
    .replace('{b}', snapshot)
    .replace('{target}', 'local')
    .replaceAll(/\{\w+\}/g, 'x');
}

/** Where the values of a document are: every pointer as a list of keys, leaves and nodes alike. */
export function placesIn(value: unknown, above: (string | number)[] = []): (string | number)[][] {
  if (typeof value !== 'object' || value === null) return [above];
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [above, ...entries.flatMap(([key, item]) => placesIn(item, [...above, key]))];
}

/** The document with the value at a place replaced. */
export function replaced(document: unknown, place: (string | number)[], value: unknown): unknown {
  if (place.length === 0) return value;
  const [key, ...rest] = place;
  const copy = Array.isArray(document) ? [...document] : { ...(document as object) };
  const inner = (copy as Record<string | number, unknown>)[key];
  (copy as Record<string | number, unknown>)[key] = replaced(inner, rest, value);
  return copy;
}

export const valueAt = (document: unknown, place: (string | number)[]) =>
  place.reduce<any>((value, key) => value[key], document);
