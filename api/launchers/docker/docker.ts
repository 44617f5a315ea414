// Containers on this machine, over the socket of Docker or podman. The container's name is the
// launch key, and a name can be taken once. Whoever may use the socket is root on the machine, so
// a Docker on another machine is reached by an agent there.

import { basename } from 'node:path';
import { z } from 'zod';
import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { type EngineClient, engineClient, shown } from '../engine-http.ts';
import { requireGpus } from '../gpus.ts';
import {
  endOfOutput,
  type Launcher,
  type LaunchRequest,
  type LaunchSpec,
  type Observation,
} from '../launcher.ts';
import { isLoopback } from '../loopback.ts';
import { ownFields, requireField, targetProblem } from '../target-fields.ts';
import { refusal } from './answers.ts';
import { checkEngine } from './check.ts';
import { socketCarrier, unframed } from './socket.ts';
import { type ContainerState, endedObservation, liveObservation } from './states.ts';

const fieldsSchema = z.strictObject({
  /** `bridge` by default; `host` where trainers reach the service on the loopback address. */
  network: z.string().min(1).default('bridge'),
  /** uid:gid of the trainer, where the image's own may not write to outputPath. */
  user: z
    .string()
    .regex(/^\d+(:\d+)?$/, 'is uid or uid:gid, in numbers')
    .optional(),
  sharedMemoryMiB: z.int().min(1).default(1024),
  /** Besides the images and outputPath, such as nnU-Net's preprocessed folder. */
  mounts: z
    .array(
      z.strictObject({
        source: z.string().startsWith('/'),
        target: z.string().startsWith('/'),
        readOnly: z.boolean().default(true),
      }),
    )
    .default([]),
});
type Fields = z.output<typeof fieldsSchema>;

const label = 'org.counterweight.launch';
const gpuLabel = 'org.counterweight.gpus';
const logLines = 60;

type Listed = { Id: string; Names: string[]; State: string };

export function createDockerLauncher(target: LaunchTarget): Launcher {
  const address = requireField(target, 'address', 'unix:///var/run/docker.sock');
  if (!address.startsWith('unix:///')) {
    const what = 'is no unix:///PATH; for an engine on another machine run an agent there';
    throw targetProblem(target, 'address', what);
  }
  const fields = ownFields(target, fieldsSchema);
  requireField(target, 'outputPath', '/srv/counterweight/out');
  const send = engineClient(target.name, socketCarrier(address.slice('unix://'.length)));
  return {
    engine: 'docker',
    pollSeconds: 2,
    prepare: (spec) => prepare(fields, spec),
    check: () => checkEngine(send, target),
    submit: async (request, token) => {
      await create(send, request, token);
      await start(send, request.launchKey, token);
      return { launchKey: request.launchKey };
    },
    find: (launchKey) => find(send, launchKey),
    poll: async (handles) => {
      const wanted = new Set(handles.map(({ launchKey }) => launchKey));
      return await poll(send, wanted);
    },
    cancel: ({ launchKey }, graceSeconds) => cancel(send, launchKey, graceSeconds),
    cleanup: async ({ launchKey }) => {
      await remove(send, launchKey);
    },
  };
}

function prepare(fields: Fields, spec: LaunchSpec): LaunchRequest {
  requireGpus(spec);
  const { target, resources, launchKey, jobId } = spec;
  requireReachable(spec, fields);
  requireOneType(spec);
  const data = `/data/${basename(spec.dataPath)}`;
  const environment = {
    ...target.environment,
    CW_API: spec.api,
    CW_JOB: jobId,
    CW_DATA: data,
    CW_OUT: `/out/${jobId}`,
  };
  const bind = (Source: string, Target: string, ReadOnly: boolean) => ({
    Type: 'bind',
    Source,
    Target,
    ReadOnly,
  });
  const { count } = resources.gpus;
  return {
    launchKey,
    container: {
      Image: spec.image,
      ...(fields.user === undefined ? {} : { User: fields.user }),
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      Labels: { [label]: launchKey, [gpuLabel]: String(count) },
      HostConfig: {
        NetworkMode: fields.network,
        // Mounts, not Binds: a folder that is not there is refused and not made, empty, by root.
        Mounts: [
          bind(spec.dataPath, data, true),
          bind(target.outputPath ?? '', '/out', false),
          ...fields.mounts.map((one) => bind(one.source, one.target, one.readOnly)),
        ],
        Memory: resources.memoryMiB * 2 ** 20,
        MemorySwap: resources.memoryMiB * 2 ** 20,
        NanoCpus: Math.round(resources.cpus * 1e9),
        ShmSize: fields.sharedMemoryMiB * 2 ** 20,
        PidsLimit: 4096,
        ReadonlyRootfs: true,
        Tmpfs: { '/tmp': 'rw,exec,nosuid,nodev,mode=1777' },
        CapDrop: ['ALL'],
        SecurityOpt: ['no-new-privileges'],
        RestartPolicy: { Name: 'no' },
        ...(count === 0
          ? {}
          : { DeviceRequests: [{ Driver: 'nvidia', Count: count, Capabilities: [['gpu']] }] }),
      },
    },
  };
}

// Inside a network of its own, a container's loopback address is the container.
function requireReachable({ target, api }: LaunchSpec, { network }: Fields): void {
  if (network === 'host' || !isLoopback(api)) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}": a container cannot reach the service at ${api}. Give the target "api" or the service CW_PUBLIC_URL, an address of this machine that it listens on, or the target "network": "host".`,
    { errors: [{ pointer: '/target', detail: 'its containers cannot reach the service' }] },
  );
}

function requireOneType({ target, resources }: LaunchSpec): void {
  if (resources.gpus.type === undefined || target.gpuTypes.length === 1) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}" has GPUs of several types, and Docker cannot choose one: leave gpus.type out.`,
    { errors: [{ pointer: '/resources/gpus/type', detail: 'cannot be chosen on this target' }] },
  );
}

async function create(send: EngineClient, request: LaunchRequest, token: string): Promise<void> {
  const { launchKey, container } = request as LaunchRequest & { container: { Env: string[] } };
  const body = JSON.stringify({ ...container, Env: [...container.Env, `CW_TOKEN=${token}`] });
  const path = `/containers/create?name=${launchKey}`;
  const answer = await send({ method: 'POST', path, body });
  if (answer.status !== 201) {
    if ((await inspected(send, launchKey)) !== null) {
      throw new ProblemError('conflict', `${launchKey} was launched before; not started twice.`);
    }
    throw refusal('The engine refuses the container', answer, token);
  }
}

// podman before 4.7 drops a request for GPUs without a word: the job would train without one.
function hasLostGpu({ Config, HostConfig }: Inspected): boolean {
  const asked = Number(Config.Labels[gpuLabel] ?? 0);
  return asked > 0 && (HostConfig?.DeviceRequests ?? []).length === 0;
}

async function start(send: EngineClient, launchKey: string, secret: string | null): Promise<void> {
  const made = await inspected(send, launchKey);
  if (made !== null && hasLostGpu(made)) {
    await remove(send, launchKey);
    throw new ProblemError(
      'unprocessable',
      'The engine left the GPU out of the container without a word, as old versions of podman do; use Docker with the NVIDIA container toolkit, or a newer podman.',
      { errors: [{ pointer: '/resources/gpus/count', detail: 'the engine gives no GPU' }] },
    );
  }
  const answer = await send({ method: 'POST', path: `/containers/${launchKey}/start` });
  if (answer.status === 204 || answer.status === 304) return;
  await remove(send, launchKey);
  throw refusal('The engine cannot start the container', answer, secret);
}

type Inspected = {
  State: ContainerState & { Running: boolean };
  Config: { Labels: Record<string, string> };
  HostConfig?: { DeviceRequests?: object[] | null };
};

async function inspected(send: EngineClient, launchKey: string): Promise<Inspected | null> {
  const answer = await send({ method: 'GET', path: `/containers/${launchKey}/json` });
  if (answer.status === 404) return null;
  if (answer.status === 200 && answer.json !== undefined) return answer.json as Inspected;
  throw new ProblemError('launcher-failed', `The engine said ${shown(answer.text)}.`);
}

// A crash between the two requests of submit leaves a container that holds its token and was never
// started; starting it twice starts it once.
async function find(send: EngineClient, launchKey: string): Promise<{ launchKey: string } | null> {
  const found = await inspected(send, launchKey);
  if (found === null) return null;
  if (['created', 'configured'].includes(found.State.Status)) await start(send, launchKey, null);
  return { launchKey };
}

async function poll(send: EngineClient, wanted: Set<string>): Promise<Map<string, Observation>> {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  const path = `/containers/json?all=true&filters=${filters}`;
  const answer = await send({ method: 'GET', path });
  if (answer.status !== 200 || !Array.isArray(answer.json)) {
    throw new ProblemError('launcher-failed', `The engine said ${shown(answer.text)}.`);
  }
  const states = new Map(
    (answer.json as Listed[]).map(({ Names, State }) => [Names[0].replace(/^\//, ''), State]),
  );
  const told = new Map<string, Observation>();
  for (const launchKey of wanted) told.set(launchKey, await observe(send, launchKey, states));
  return told;
}

async function observe(
  send: EngineClient,
  launchKey: string,
  states: Map<string, string>,
): Promise<Observation> {
  const state = states.get(launchKey);
  if (state === undefined) return { state: 'notFound' };
  const known = liveObservation(state);
  if (known !== null) return known;
  const container = await inspected(send, launchKey);
  if (container === null) return { state: 'notFound' };
  const ended = endedObservation(container.State as ContainerState);
  const output = await outputOf(send, launchKey);
  return output === null ? ended : { ...ended, output };
}

// An extra: how the container ended is known without it. One line may be larger than any answer.
async function outputOf(send: EngineClient, launchKey: string): Promise<string | null> {
  const path = `/containers/${launchKey}/logs?stdout=true&stderr=true&tail=${logLines}`;
  try {
    const { status, text } = await send({ method: 'GET', path });
    return status === 200 ? endOfOutput(unframed(text)) : null;
  } catch (cause) {
    if (!(cause instanceof ProblemError)) throw cause;
    return null;
  }
}

async function cancel(
  send: EngineClient,
  launchKey: string,
  graceSeconds: number,
): ReturnType<Launcher['cancel']> {
  const signal = graceSeconds > 0 ? 'SIGTERM' : 'SIGKILL';
  const path = `/containers/${launchKey}/kill?signal=${signal}`;
  const answer = await send({ method: 'POST', path });
  if (answer.status === 204) return 'accepted';
  // Docker says 409 of a container that does not run, podman 500.
  const found = await inspected(send, launchKey);
  if (found === null) return 'gone';
  if (found.State.Running === false) return 'alreadyDone';
  throw new ProblemError('launcher-failed', `The engine said ${shown(answer.text)}.`);
}

async function remove(send: EngineClient, launchKey: string): Promise<void> {
  const path = `/containers/${launchKey}?force=true&v=true`;
  const answer = await send({ method: 'DELETE', path });
  if ([200, 204, 404].includes(answer.status)) return;
  throw new ProblemError('launcher-failed', `The engine said ${shown(answer.text)}.`);
}
