// A slurmrestd from memory, in both dialects: jobs exist, start and end as a test says. What the
// legacy one answers is what Slurm 22.05.8 was seen to answer; the modern one goes by the OpenAPI
// document of v0.0.42, from which it has the fields of a job.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

export type FakeJob = {
  id: number;
  body: any;
  states: string[];
  reason: string;
  description: string;
  /** As a wait status. */
  exit: number;
  restarts: number;
};

export type FakeSlurm = {
  address: string;
  jobs: FakeJob[];
  /** Method and path of each request. */
  asked: string[];
  /** The headers of the last request. */
  headers: IncomingMessage['headers'];
  /** What was warned of: fields that the modern dialect does not know. */
  warned: string[];
  /** What the next matching requests are answered instead, by `METHOD /path-begin`. */
  instead: Map<string, { status: number; body: unknown } | 'hang up'>;
  nodes: object[];
  partitions: object[];
  stop: () => Promise<void>;
};

const number = z.strictObject({ set: z.boolean(), infinite: z.boolean(), number: z.int() });
const common = {
  name: z.string(),
  comment: z.string(),
  partition: z.string(),
  account: z.string().optional(),
  qos: z.string().optional(),
  reservation: z.string().optional(),
  constraints: z.string().optional(),
  tasks: z.int(),
  cpus_per_task: z.int(),
  current_working_directory: z.string(),
  standard_output: z.string(),
};
const legacyBody = z.strictObject({
  script: z.string().startsWith('#!'),
  job: z.strictObject({
    ...common,
    time_limit: z.int(),
    memory_per_node: z.int(),
    gres: z.string().regex(/^gpu:/).optional(),
    no_requeue: z.boolean(),
    environment: z.record(z.string(), z.string()),
  }),
});
const modernBody = z.strictObject({
  job: z.strictObject({
    ...common,
    script: z.string().startsWith('#!'),
    time_limit: number,
    memory_per_node: number,
    tres_per_node: z
      .string()
      .regex(/^gres\/gpu:/)
      .optional(),
    requeue: z.boolean(),
    environment: z.array(z.string().includes('=')).min(1),
  }),
});

/** The modern schema of a job as an OpenAPI document has it, as far as it is used. */
export function openApiDocument(): any {
  const prefix = 'v0.0.42_';
  const ref = (name: string) => ({ $ref: `#/components/schemas/${prefix}${name}` });
  const text = { type: 'string' };
  const integer = { type: 'integer', format: 'int32' };
  const texts = ['name', 'comment', 'partition', 'account', 'qos', 'reservation', 'constraints'];
  const more = ['script', 'current_working_directory', 'standard_output', 'tres_per_node'];
  const properties = {
    ...Object.fromEntries([...texts, ...more].map((name) => [name, text])),
    tasks: integer,
    cpus_per_task: integer,
    requeue: { type: 'boolean' },
    time_limit: ref('uint32_no_val_struct'),
    memory_per_node: ref('uint64_no_val_struct'),
    environment: ref('string_array'),
  };
  const noValue = {
    type: 'object',
    properties: { set: { type: 'boolean' }, infinite: { type: 'boolean' }, number: integer },
  };
  const schemas = {
    [`${prefix}job_submit_req`]: { type: 'object', properties: { job: ref('job_desc_msg') } },
    [`${prefix}job_desc_msg`]: { type: 'object', properties },
    [`${prefix}uint32_no_val_struct`]: noValue,
    [`${prefix}uint64_no_val_struct`]: noValue,
    [`${prefix}string_array`]: { type: 'array', items: text },
  };
  const content = { 'application/json': { schema: ref('job_submit_req') } };
  return {
    openapi: '3.0.3',
    paths: { '/slurm/v0.0.42/job/submit': { post: { requestBody: { content } } } },
    components: { schemas },
  };
}

async function bodyOf(request: IncomingMessage): Promise<any> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  return text === '' ? undefined : JSON.parse(text);
}

export async function startFakeSlurm(): Promise<FakeSlurm> {
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const asked = `${request.method} ${request.url}`;
    fake.asked.push(asked);
    fake.headers = request.headers;
    const instead = [...fake.instead].find(([begin]) => asked.startsWith(begin))?.[1];
    if (instead === 'hang up') return void request.socket.destroy();
    const answer = instead ?? answerOf(fake, asked, { body, headers: request.headers });
    const isText = typeof answer.body === 'string';
    response.writeHead(answer.status, {
      'content-type': isText ? 'text/plain' : 'application/json',
    });
    response.end(isText ? answer.body : JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeSlurm = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    jobs: [],
    asked: [],
    headers: {},
    warned: [],
    instead: new Map(),
    nodes: [],
    partitions: [],
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return fake;
}

type Answer = { status: number; body: unknown };

const release = { release: '22.05.8' };
const good = (more: object): Answer => ({
  status: 200,
  body: { meta: { Slurm: release, slurm: release }, errors: [], ...more },
});
/** Legacy and modern name the number otherwise; submit of the legacy one otherwise again. */
export const fault = (code: number, error: string, status = 500): Answer => ({
  status,
  body: { errors: [{ error_code: code, error_number: code, error }] },
});

function answerOf(
  fake: FakeSlurm,
  asked: string,
  { body, headers }: { body: any; headers: IncomingMessage['headers'] },
): Answer {
  const [method, path] = asked.split(' ');
  if (!headers['x-slurm-user-name'] || !headers['x-slurm-user-token']) {
    return { status: 401, body: 'Authentication failure' };
  }
  if (path === '/openapi/v3') return { status: 200, body: openApiDocument() };
  const [, , version, kind, id] = path.replace(/\/$/, '').split('/');
  const isModern = version === 'v0.0.42';
  if (!isModern && version !== 'v0.0.38') return { status: 404, body: 'Unable find requested URL' };
  if (kind === 'ping') return good({ pings: [{ hostname: 'head', ping: 'UP', pinged: 'UP' }] });
  if (kind === 'nodes') return good({ nodes: fake.nodes });
  if (kind === 'partitions') return good({ partitions: fake.partitions });
  if (kind === 'jobs') return good({ jobs: fake.jobs.map((job) => shownJob(job, isModern)) });
  if (id === 'submit') return submitted(fake, body, isModern);
  const job = fake.jobs.find((one) => one.id === Number(id));
  if (job === undefined) return fault(2017, 'Invalid job id specified');
  if (method === 'DELETE') return deleted(job);
  return good({ jobs: [shownJob(job, isModern)] });
}

function submitted(fake: FakeSlurm, body: any, isModern: boolean): Answer {
  const read = (isModern ? modernBody : legacyBody).safeParse(body);
  const strange = (read.error?.issues ?? []).map(({ path, message }) => `${path}: ${message}`);
  if (strange.length > 0 && !isModern) {
    const errors = [
      { description: strange.join(), source: 'hsearch_r' },
      { error_code: 9001, error: 'Failure during parsing' },
    ];
    return { status: 400, body: { errors } };
  }
  const warnings = strange.map((text) => ({ description: `Ignoring unknown field: ${text}` }));
  fake.warned.push(...strange);
  if (!fake.partitions.some((one: any) => one.name === body.job.partition)) {
    return fault(2000, 'Invalid partition name specified');
  }
  const id = fake.jobs.length + 1;
  const fresh = { description: '', exit: 0, restarts: 0 };
  // A request that can never be met is refused, and leaves a record even so.
  if (JSON.stringify(body.job).includes('gpu:absent')) {
    fake.jobs.push({ ...fresh, id, body, states: ['FAILED'], reason: 'BadConstraints', exit: 1 });
    return fault(2014, 'Requested node configuration is not available');
  }
  fake.jobs.push({ ...fresh, id, body, states: ['PENDING'], reason: 'None' });
  return good({ job_id: id, step_id: 'BATCH', job_submit_user_msg: '', warnings });
}

// A job that runs gets SIGTERM and, after a while, SIGKILL: it is completing until a test says so.
function deleted(job: FakeJob): Answer {
  if (job.states.includes('PENDING')) job.states = ['CANCELLED'];
  else if (job.states.includes('RUNNING')) job.states = ['CANCELLED', 'COMPLETING'];
  return good({});
}

function shownJob(
  { id, body, states, reason, description, exit, restarts }: FakeJob,
  isModern: boolean,
) {
  const set = (value: number) => ({ set: true, infinite: false, number: value });
  const killed = exit % 256;
  return {
    job_id: id,
    name: body.job.name,
    comment: body.job.comment,
    // The legacy one has a single word, and completing hides the others.
    job_state: isModern ? states : (states.find((one) => one === 'COMPLETING') ?? states[0]),
    state_reason: reason,
    state_description: description,
    restart_cnt: restarts,
    exit_code: isModern
      ? {
          status: [killed > 0 ? 'SIGNALED' : 'SUCCESS'],
          return_code: set(Math.floor(exit / 256)),
          signal: { id: { ...set(killed), set: killed > 0 }, name: '' },
        }
      : exit,
  };
}
