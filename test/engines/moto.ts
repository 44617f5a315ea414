// AWS Batch as moto plays it: its states are moto's, its jobs real containers of a Docker engine.
// Everything a job needs on AWS is made here: a role, machines, a queue, a job definition.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/free-port.ts';
import { until } from './waiting.ts';

export type Mount = { source: string; target: string; readOnly: boolean };

export type Moto = {
  /** Of Batch and of CloudWatch Logs. */
  address: string;
  region: string;
  /** What a target's credentials hold; moto takes any. */
  credential: string;
  queue: string;
  /** By its ARN: moto does not find NAME:REVISION when definitions are described. */
  jobDefinition: string;
  /** Asks Batch, as `('ListJobs', {...})`. */
  call: (operation: string, body: object) => Promise<any>;
  /** With SIGSTOP until SIGCONT it is an engine that is away. It forgets all when it ends. */
  pid: number;
  stop: () => Promise<void>;
};

const region = 'eu-central-1';
const queue = 'counterweight';

/**
 * Starts moto. `folder` gets its log; `python` is one that has moto; `socket` is that of a Docker
 * engine, and without it every job succeeds at once and nothing runs. Containers are on the host's
 * network, as those of Batch on EC2 are, so they reach a service on the loopback address.
 */
export async function startMoto(
  folder: string,
  {
    python,
    socket,
    image,
    mounts = [],
  }: { python: string; socket?: string; image: string; mounts?: Mount[] },
): Promise<Moto> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const child = serverProcess(folder, { python, socket, port });
  const call: Moto['call'] = (operation, body) =>
    batch(address, `/v1/${operation.toLowerCase()}`, body);
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  try {
    await untilReady(child, address, folder);
    if (socket === undefined) {
      await post(`${address}/moto-api/config`, { batch: { use_docker: false } });
    }
    await makeQueue(address, call);
    const jobDefinition = await define(call, { image, mounts });
    const credential = 'AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
    const pid = child.pid as number;
    return { address, region, credential, queue, jobDefinition, call, pid, stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

function serverProcess(
  folder: string,
  { python, socket, port }: { python: string; socket: string | undefined; port: number },
): ChildProcess {
  const log = openSync(join(folder, 'moto.log'), 'a');
  const child = spawn(python, [join(import.meta.dirname, 'moto_server.py'), String(port)], {
    stdio: ['ignore', log, log],
    env: {
      ...process.env,
      PYTHONDONTWRITEBYTECODE: '1',
      MOTO_PORT: String(port),
      MOTO_DOCKER_NETWORK_MODE: 'host',
      ...(socket === undefined ? {} : { DOCKER_HOST: `unix://${socket}` }),
    },
  });
  closeSync(log);
  return child;
}

async function untilReady(child: ChildProcess, address: string, folder: string): Promise<void> {
  let failed = '';
  child.once('error', (error) => {
    failed = error.message;
  });
  const answers = async () => {
    if (failed !== '' || child.exitCode !== null) throw new Error(`moto ended: ${failed}`);
    return await fetch(`${address}/moto-api/data.json`).then(
      ({ ok }) => ok,
      () => false,
    );
  };
  await until(answers, {
    seconds: 60,
    late: () => `moto answers; see ${join(folder, 'moto.log')}`,
  });
}

async function makeQueue(address: string, call: Moto['call']): Promise<void> {
  const statement = { Effect: 'Allow', Principal: { Service: 'batch.amazonaws.com' } };
  const policy = { Version: '2012-10-17', Statement: [{ ...statement, Action: 'sts:AssumeRole' }] };
  const role = await send(`${address}/`, {
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...scopeOf('iam') },
    body: new URLSearchParams({
      Action: 'CreateRole',
      Version: '2010-05-08',
      RoleName: 'batch',
      AssumeRolePolicyDocument: JSON.stringify(policy),
    }).toString(),
  });
  const [, serviceRole] = role.match(/<Arn>([^<]+)<\/Arn>/) ?? [];
  const { computeEnvironmentArn } = await call('CreateComputeEnvironment', {
    computeEnvironmentName: 'machines',
    type: 'UNMANAGED',
    state: 'ENABLED',
    serviceRole,
  });
  await call('CreateJobQueue', {
    jobQueueName: queue,
    state: 'ENABLED',
    priority: 1,
    computeEnvironmentOrder: [{ order: 1, computeEnvironment: computeEnvironmentArn }],
  });
}

async function define(
  call: Moto['call'],
  { image, mounts }: { image: string; mounts: Mount[] },
): Promise<string> {
  const named = mounts.map((mount, place) => ({ ...mount, name: `mount-${place}` }));
  const { jobDefinitionArn } = await call('RegisterJobDefinition', {
    jobDefinitionName: 'trainer',
    type: 'container',
    containerProperties: {
      image,
      resourceRequirements: [
        { type: 'VCPU', value: '1' },
        { type: 'MEMORY', value: '512' },
      ],
      volumes: named.map(({ name, source }) => ({ name, host: { sourcePath: source } })),
      // moto fails on a mount that does not say whether it is read-only.
      mountPoints: named.map(({ name, target, readOnly }) => ({
        sourceVolume: name,
        containerPath: target,
        readOnly,
      })),
    },
  });
  return jobDefinitionArn;
}

// moto tells services apart by the scope of the signature, which it does not check.
const scopeOf = (service: string) => ({
  authorization: `AWS4-HMAC-SHA256 Credential=any/20300101/${region}/${service}/aws4_request, SignedHeaders=host, Signature=any`,
});

async function batch(address: string, path: string, body: object): Promise<any> {
  return JSON.parse(await post(`${address}${path}`, body, scopeOf('batch')));
}

async function post(url: string, body: object, headers: Record<string, string> = {}) {
  return await send(url, {
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
}

async function send(url: string, init: { headers: Record<string, string>; body: string }) {
  const answer = await fetch(url, { method: 'POST', ...init });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`moto said ${answer.status} to ${url}: ${text}`);
  return text;
}
