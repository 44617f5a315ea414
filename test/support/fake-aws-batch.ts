// AWS Batch and CloudWatch Logs from memory. Requests whose signature does not hold, or whose body
// AWS would not take, are refused; a name may be submitted twice, as on AWS. Jobs move as a test
// says.

import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { LaunchTarget } from '../../api/contract/targets.ts';
import { bodies } from './fake-aws-bodies.ts';
import { signatureFault } from './fake-aws-signature.ts';
import { targetOf } from './launch-specs.ts';

export type FakeJob = {
  jobId: string;
  jobName: string;
  status: string;
  createdAt: number;
  /** What was submitted. */
  body: any;
  /** What DescribeJobs says besides. */
  more: Record<string, any>;
};

type Answer = { status: number; type?: string; body: unknown };

export type FakeAwsBatch = {
  address: string;
  jobs: FakeJob[];
  queues: any[];
  environments: any[];
  definitions: any[];
  /** Stream of the log group to its lines. */
  streams: Map<string, string[]>;
  /** Each request that was let in. */
  asked: { operation: string; body: any }[];
  /** What an operation answers instead. */
  instead: Map<string, Answer | 'hang up'>;
  /** Jobs on one page of a list. */
  pageSize: number;
  stop: () => Promise<void>;
};

export const fakeKeys = {
  access: 'AKIDEXAMPLE',
  secret: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  session: 'session/token+of=now',
};
/** What a target's credentials hold, as the command of AWS prints it. */
export const fakeCredential = JSON.stringify({
  Version: 1,
  AccessKeyId: fakeKeys.access,
  SecretAccessKey: fakeKeys.secret,
  SessionToken: fakeKeys.session,
  Expiration: '2099-01-01T00:00:00+00:00',
});
export const fakeImage = `registry.example.org/trainer@sha256:${'a'.repeat(64)}`;
const region = 'eu-central-1';
const logGroup = '/aws/batch/job';
const arn = (what: string) => `arn:aws:batch:${region}:123456789012:${what}`;

/** A target on the stand-in that every check finds nothing wrong with. */
export function awsTarget({ address }: { address: string }, fields: object = {}): LaunchTarget {
  return targetOf({
    engine: 'aws-batch',
    address,
    logsAddress: address,
    credentials: { file: '/run/secrets/aws' },
    region,
    queue: 'gpu',
    images: [fakeImage],
    jobDefinitions: { [fakeImage]: 'trainer:3' },
    dataPaths: { liver: '/data/Dataset004_Liver' },
    outputPath: '/out',
    gpuTypes: ['h200'],
    environment: { nnUNet_preprocessed: '/data/preprocessed' },
    ...fields,
  });
}

export const refused = (type: string, message: string, status = 400): Answer => ({
  status,
  type,
  body: { message },
});

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

export async function startFakeAwsBatch(): Promise<FakeAwsBatch> {
  const server = createServer(async (request, response) => {
    const text = await textOf(request);
    const answer = answerOf(fake, request, text);
    if (answer === 'hang up') return void request.socket.destroy();
    const isLogs = request.url === '/';
    const { type } = answer;
    response.writeHead(answer.status, {
      'content-type': isLogs ? 'application/x-amz-json-1.1' : 'application/json',
      ...(type === undefined || isLogs ? {} : { 'x-amzn-errortype': `${type}:http://internal/` }),
    });
    const named = isLogs && type !== undefined ? { __type: `com.amazonaws#${type}` } : {};
    response.end(JSON.stringify({ ...named, ...(answer.body as object) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const fake: FakeAwsBatch = {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...freshState(),
    stop: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  return fake;
}

/** Everything but the address, as at the start: one queue, its machines, one job definition. */
export function freshState() {
  const computeEnvironment = arn('compute-environment/h200');
  return {
    jobs: [] as FakeJob[],
    queues: [
      {
        jobQueueName: 'gpu',
        jobQueueArn: arn('job-queue/gpu'),
        state: 'ENABLED',
        status: 'VALID',
        priority: 1,
        computeEnvironmentOrder: [{ order: 1, computeEnvironment }],
      },
    ] as any[],
    environments: [
      {
        computeEnvironmentName: 'h200',
        computeEnvironmentArn: computeEnvironment,
        type: 'MANAGED',
        state: 'ENABLED',
        status: 'VALID',
        computeResources: { type: 'EC2', maxvCpus: 96, instanceTypes: ['p5en.48xlarge'] },
      },
    ] as any[],
    definitions: [
      {
        jobDefinitionName: 'trainer',
        jobDefinitionArn: arn('job-definition/trainer:3'),
        revision: 3,
        status: 'ACTIVE',
        type: 'container',
        containerProperties: {
          image: fakeImage,
          mountPoints: [
            { containerPath: '/data', sourceVolume: 'images', readOnly: true },
            { containerPath: '/out', sourceVolume: 'out', readOnly: false },
          ],
        },
      },
    ] as any[],
    streams: new Map<string, string[]>(),
    asked: [] as FakeAwsBatch['asked'],
    instead: new Map<string, Answer | 'hang up'>(),
    pageSize: 100,
  };
}

function operationOf({ url = '', headers }: IncomingMessage): string | undefined {
  const path = url === '/' ? undefined : url.replace(/^\/v1\//, '');
  const target = String(headers['x-amz-target']).replace(/^Logs_20140328\./, '');
  return Object.keys(bodies).find((one) => {
    if (one === 'GetLogEvents') return path === undefined && target === one;
    return path === one.toLowerCase();
  });
}

function answerOf(fake: FakeAwsBatch, request: IncomingMessage, text: string): Answer | 'hang up' {
  const service = request.url === '/' ? 'logs' : 'batch';
  const { method = '', url = '', headers } = request;
  const operation = operationOf(request);
  const wanted = service === 'logs' ? 'application/x-amz-json-1.1' : 'application/json';
  if (operation === undefined || method !== 'POST' || headers['content-type'] !== wanted) {
    return refused('UnknownOperationException', `${method} ${url} is no operation`, 404);
  }
  const fault = signatureFault({ method, url, headers, body: text }, fakeKeys, {
    service,
    region,
    now: new Date(),
  });
  if (fault !== null) return refused(fault, 'The request is not signed as it has to be.', 403);
  const body = JSON.parse(text);
  fake.asked.push({ operation, body });
  const read = bodies[operation].safeParse(body);
  if (!read.success || text.length > 30 * 1024) {
    return refused('ClientException', `${operation}: ${read.error?.message ?? 'too long'}`);
  }
  return fake.instead.get(operation) ?? operations[operation](fake, body);
}

const ok = (body: object): Answer => ({ status: 200, body });

const operations: Record<string, (fake: FakeAwsBatch, body: any) => Answer> = {
  SubmitJob: (fake, body) => {
    const known = fake.definitions.some(({ jobDefinitionArn, jobDefinitionName, revision }) =>
      [jobDefinitionArn, `${jobDefinitionName}:${revision}`].includes(body.jobDefinition),
    );
    if (!known) return refused('ClientException', `JobDefinition ${body.jobDefinition} not found`);
    const { jobName } = body;
    const jobId = `00000000-0000-4000-8000-${String(fake.jobs.length + 1).padStart(12, '0')}`;
    const createdAt = Date.now() + fake.jobs.length;
    fake.jobs.push({ jobId, jobName, status: 'SUBMITTED', createdAt, body, more: {} });
    return ok({ jobId, jobName, jobArn: arn(`job/${jobId}`) });
  },
  ListJobs: (fake, { filters, nextToken }) => {
    const wanted = filters?.[0].values[0].toLowerCase();
    const found = fake.jobs
      .filter(({ jobName, status }) =>
        wanted === undefined ? status === 'RUNNING' : jobName.toLowerCase() === wanted,
      )
      .reverse();
    const from = Number(nextToken ?? 0);
    const page = found.slice(from, from + fake.pageSize);
    const next = from + fake.pageSize < found.length ? String(from + fake.pageSize) : undefined;
    return ok({
      jobSummaryList: page.map(({ jobId, jobName, status }) => ({ jobId, jobName, status })),
      nextToken: next,
    });
  },
  DescribeJobs: (fake, { jobs }) =>
    ok({ jobs: fake.jobs.filter(({ jobId }) => jobs.includes(jobId)).map(detailOf) }),
  TerminateJob: (fake, { jobId }) => {
    const job = fake.jobs.find((one) => one.jobId === jobId);
    if (job !== undefined) job.more.isTerminated = true;
    return ok({});
  },
  DescribeJobQueues: (fake, { jobQueues }) =>
    ok({ jobQueues: fake.queues.filter((one) => jobQueues.includes(one.jobQueueName)) }),
  DescribeComputeEnvironments: (fake, { computeEnvironments }) =>
    ok({
      computeEnvironments: fake.environments.filter((one) =>
        computeEnvironments.includes(one.computeEnvironmentArn),
      ),
    }),
  DescribeJobDefinitions: (fake, { jobDefinitions }) =>
    ok({
      jobDefinitions: fake.definitions.filter(
        ({ jobDefinitionArn, jobDefinitionName, revision }) =>
          jobDefinitions.includes(jobDefinitionArn) ||
          jobDefinitions.includes(`${jobDefinitionName}:${revision}`),
      ),
    }),
  GetLogEvents: (fake, { logGroupName, logStreamName, limit = 10_000, startFromHead }) => {
    const lines = logGroupName === logGroup ? fake.streams.get(logStreamName) : undefined;
    const what = logGroupName === logGroup ? 'stream' : 'group';
    if (lines === undefined) {
      return refused('ResourceNotFoundException', `The specified log ${what} does not exist.`);
    }
    const shown = startFromHead ? lines.slice(0, limit) : lines.slice(-limit);
    return ok({ events: shown.map((message) => ({ timestamp: 1, message })) });
  },
};

function detailOf({ jobId, jobName, status, createdAt, body, more }: FakeJob) {
  const { jobQueue, jobDefinition, timeout, retryStrategy, tags } = body;
  const said = { jobId, jobName, status, createdAt, jobQueue, jobDefinition };
  return { ...said, timeout, retryStrategy, tags, ...more };
}
