// An API server of Kubernetes, from memory and strict: it refuses fields that it does not know,
// whatever RBAC does not allow, and names that are taken. Its defaults are the real ones, also the
// one that leaves the pods of a deleted Job running.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { z } from 'zod';
import { type Cluster, collect, makePod, startPods } from './fake-kubernetes-pods.ts';
import {
  deleteSchema,
  jobPatchSchema,
  jobSchema,
  podSchema,
  reviewSchema,
  secretSchema,
} from './fake-kubernetes-shapes.ts';

type Answer = { status: number; body: unknown; headers?: Record<string, string> };
type Asked = { method: string; url: URL; headers: IncomingMessage['headers']; body: any };

export type FakeKubernetes = Cluster & {
  url: string;
  /** What the bearer token has to be. */
  token: string;
  /** Allowed: `verb group/resource`, as `create batch/jobs`; the rest is forbidden. */
  rights: Set<string>;
  namespaces: string[];
  events: any[];
  queues: string[];
  minor: string;
  /** Method and path of each request. */
  asked: string[];
  /** What the next matching requests are answered instead, by `METHOD /path-begin`. */
  instead: Map<string, Answer | 'hang up'>;
  /** Objects of one page, whatever is asked for. */
  pageSize: number;
  /** Answers that the next continued lists are too old. */
  expiredLists: number;
  /** Sent along with every dry run. */
  warning: string | null;
  stop: () => Promise<void>;
};

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

export async function startFakeKubernetes(rights: string[]): Promise<FakeKubernetes> {
  let made = 0;
  const server = createServer(async (request, response) => {
    const text = await textOf(request);
    const asked = `${request.method} ${request.url}`;
    fake.asked.push(asked);
    const instead = [...fake.instead].find(([begin]) => asked.startsWith(begin))?.[1];
    if (instead === 'hang up') return void request.socket.destroy();
    const url = new URL(String(request.url), fake.url);
    const body = text === '' ? undefined : JSON.parse(text);
    const { method = '', headers } = request;
    const answer = instead ?? answerOf(fake, { method, url, headers, body });
    const isText = typeof answer.body === 'string';
    response.writeHead(answer.status, {
      'content-type': isText ? 'text/plain' : 'application/json',
      ...answer.headers,
    });
    response.end(isText ? answer.body : JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const fake: FakeKubernetes = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: 'cluster-token',
    rights: new Set(rights),
    namespaces: ['counterweight'],
    jobs: new Map(),
    pods: new Map(),
    secrets: new Map(),
    scripts: new Map(),
    processes: new Map(),
    events: [],
    queues: [],
    graceMs: 1000,
    minor: '32',
    asked: [],
    instead: new Map(),
    pageSize: 500,
    expiredLists: 0,
    warning: null,
    now: () => new Date().toISOString(),
    uid: () => `uid-${String(++made).padStart(5, '0')}`,
    stop: async () => {
      for (const child of fake.processes.values()) child.kill('SIGKILL');
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return fake;
}

/** An answer as the API says no: a Status with its reason. */
export function statusAnswer(
  code: number,
  reason: string,
  message: string,
  details: object = {},
): Answer {
  const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message, details };
  return { status: code, body: { ...body, code } };
}

const ok = (body: unknown, status = 200): Answer => ({ status, body });

function answerOf(fake: FakeKubernetes, asked: Asked): Answer {
  const { url, headers, body } = asked;
  if (headers.authorization !== `Bearer ${fake.token}`) {
    return statusAnswer(401, 'Unauthorized', 'Unauthorized');
  }
  if (url.pathname === '/version') {
    return ok({ gitVersion: `v1.${fake.minor}.1`, major: '1', minor: fake.minor });
  }
  if (url.pathname.endsWith('/selfsubjectaccessreviews')) return reviewed(fake, body);
  const path = url.pathname.match(
    /^\/(?:api\/v1|apis\/([a-z0-9.-]+)\/v[a-z0-9]+)\/namespaces\/([^/]+)\/([a-z]+)(?:\/([^/]+)(?:\/([a-z]+))?)?$/,
  );
  if (path === null) return ok('404 page not found', 404);
  const [, group = '', namespace, kind, name, sub] = path;
  const verb = verbOf(asked.method, name);
  const resource = sub === undefined ? kind : `${kind}/${sub}`;
  if (!fake.rights.has(`${verb} ${group}/${resource}`)) return forbidden(verb, group, resource);
  if (verb === 'create' && !fake.namespaces.includes(namespace)) {
    const details = { kind: 'namespaces', name: namespace };
    return statusAnswer(404, 'NotFound', `namespaces "${namespace}" not found`, details);
  }
  if (kind === 'localqueues') {
    return fake.queues.includes(name) ? ok({}) : missing(kind, name);
  }
  if (verb === 'list') return listed(fake, kind, url);
  if (verb === 'create') return created(fake, kind, asked);
  return ofOne(fake, { kind, name, sub }, asked);
}

const verbOf = (method: string, name: string | undefined) =>
  ({
    GET: name === undefined ? 'list' : 'get',
    POST: 'create',
    PATCH: 'patch',
    DELETE: 'delete',
  })[method] ?? method;

const missing = (kind: string, name: string) =>
  statusAnswer(404, 'NotFound', `${kind} "${name}" not found`, { kind, name });

function forbidden(verb: string, group: string, resource: string): Answer {
  const what = `cannot ${verb} resource "${resource}" in API group "${group}"`;
  return statusAnswer(403, 'Forbidden', `${resource} is forbidden: User "test" ${what}`);
}

function reviewed(fake: FakeKubernetes, body: unknown): Answer {
  const { resourceAttributes } = reviewSchema.parse(body).spec;
  const { verb, group, resource, subresource } = resourceAttributes;
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  return ok({ status: { allowed: fake.rights.has(`${verb} ${group}/${whole}`) } }, 201);
}

function listed(fake: FakeKubernetes, kind: string, url: URL): Answer {
  const from = url.searchParams.get('continue');
  if (from !== null && fake.expiredLists > 0) {
    fake.expiredLists--;
    return statusAnswer(410, 'Expired', 'The provided continue parameter is too old');
  }
  const wanted = (url.searchParams.get('labelSelector') ?? '').split(',').filter(Boolean);
  const store = { jobs: fake.jobs, pods: fake.pods, secrets: fake.secrets }[kind];
  const all = kind === 'events' ? fake.events : [...(store?.values() ?? [])];
  const found = all.filter(({ metadata }) =>
    wanted.every((one) => metadata.labels?.[one.split('=')[0]] === one.split('=')[1]),
  );
  const begin = Number(from ?? 0);
  const end = begin + Math.min(fake.pageSize, Number(url.searchParams.get('limit') ?? Infinity));
  const more = end < found.length ? { continue: String(end) } : {};
  return ok({ kind: 'List', metadata: more, items: found.slice(begin, end) });
}

const schemas: Record<string, z.ZodType> = {
  jobs: jobSchema,
  pods: podSchema,
  secrets: secretSchema,
};

function created(fake: FakeKubernetes, kind: string, { url, headers, body }: Asked): Answer {
  if (headers['content-type'] !== 'application/json') return ok('unsupported media type', 415);
  const read = schemas[kind].safeParse(body);
  if (!read.success) {
    const [{ path, code, message }] = read.error.issues;
    const words = `${path.join('.')}: ${message}`;
    return code === 'unrecognized_keys'
      ? statusAnswer(400, 'BadRequest', `strict decoding error: ${words}`)
      : statusAnswer(422, 'Invalid', `${kind} "${body?.metadata?.name}" is invalid: ${words}`);
  }
  const stores: Record<string, Map<string, any>> = fake as any;
  const { name } = body.metadata;
  if (stores[kind].has(name)) {
    return statusAnswer(409, 'AlreadyExists', `${kind} "${name}" already exists`, { kind, name });
  }
  if (url.searchParams.get('dryRun') === 'All') {
    const warned: Record<string, string> = {};
    if (fake.warning !== null) warned.warning = `299 - "${fake.warning}"`;
    return { ...ok(body, 201), headers: warned };
  }
  const metadata = { ...body.metadata, uid: fake.uid(), creationTimestamp: fake.now() };
  const object = { ...body, metadata };
  if (kind === 'jobs') Object.assign(object, { status: {} });
  stores[kind].set(name, object);
  if (kind === 'jobs' && body.spec.suspend !== true) makePod(fake, object);
  if (kind === 'secrets') keepOwned(fake, object);
  return ok(object, 201);
}

// An object whose owner is not there is taken, and collected at once.
function keepOwned(fake: FakeKubernetes, { metadata }: any): void {
  const [{ name, uid }] = metadata.ownerReferences;
  if (fake.jobs.get(name)?.metadata.uid === uid) startPods(fake);
  else fake.secrets.delete(metadata.name);
}

function ofOne(
  fake: FakeKubernetes,
  { kind, name, sub }: { kind: string; name: string; sub?: string },
  { method, headers, url, body }: Asked,
): Answer {
  const stores: Record<string, Map<string, any>> = fake as any;
  const found = stores[kind]?.get(name);
  if (found === undefined) return missing(kind, name);
  if (sub === 'log') {
    const { waiting } = found.status.containerStatuses?.[0]?.state ?? {};
    if (waiting) return statusAnswer(400, 'BadRequest', 'container is waiting to start');
    return ok('last words\n');
  }
  if (method === 'GET') return ok(found);
  if (method === 'PATCH') {
    if (headers['content-type'] !== 'application/merge-patch+json') return ok('unsupported', 415);
    const { metadata } = jobPatchSchema.parse(body);
    if (metadata.uid !== undefined && metadata.uid !== found.metadata.uid) {
      return statusAnswer(409, 'Conflict', 'Precondition failed: UID in precondition differs');
    }
    const annotations = { ...found.metadata.annotations, ...metadata.annotations };
    found.metadata = { ...found.metadata, annotations };
    return ok(found);
  }
  const options = body === undefined ? undefined : deleteSchema.parse(body);
  const uid = options?.preconditions?.uid;
  if (uid !== undefined && uid !== found.metadata.uid) {
    return statusAnswer(409, 'Conflict', 'Precondition failed: UID in precondition differs');
  }
  stores[kind].delete(name);
  const policy = options?.propagationPolicy ?? url.searchParams.get('propagationPolicy');
  if (kind === 'jobs') collect(fake, found.metadata, policy ?? 'Orphan');
  return ok({ kind: 'Status', status: 'Success' });
}
