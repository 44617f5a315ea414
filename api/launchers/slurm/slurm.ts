// Jobs on a Slurm cluster, by slurmrestd. Slurm has no idempotency: a job's name and comment are
// the launch key, and whoever launches looks for them first. Images are run by the batch script.

import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { requireGpus } from '../gpus.ts';
import type {
  Handle,
  Launcher,
  LauncherOptions,
  LaunchRequest,
  LaunchSpec,
  Observation,
} from '../launcher.ts';
import { isLoopback } from '../loopback.ts';
import { requireNoFault, type SlurmAnswer, type SlurmApi, slurmApi, unanswered } from './api.ts';
import { checkSite, pingedController } from './check.ts';
import {
  isOver,
  pathsOf,
  readJob,
  type SlurmBody,
  type SlurmJob,
  submitBody,
  withVariable,
} from './dialects.ts';
import { submitProblem } from './errors.ts';
import { type SlurmFields, slurmFields } from './fields.ts';
import { batchScript, placesOf } from './script.ts';
import { observationOf } from './states.ts';

type Site = { target: LaunchTarget; fields: SlurmFields; ask: SlurmApi };
type SlurmRequest = LaunchRequest & { path: string; asks: string; body: SlurmBody };
type SlurmHandle = Handle & { job: number };

const usualPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const unknownJob = 2017;
const alreadyOver = 2021;

export function createSlurmLauncher(
  target: LaunchTarget,
  options: Pick<LauncherOptions, 'credential'>,
  now: () => Date = () => new Date(),
): Launcher {
  const fields = slurmFields(target);
  const ask = slurmApi(target, fields, { ...options, now });
  const site = { target, fields, ask };
  return {
    engine: 'slurm',
    pollSeconds: 30,
    prepare: (spec) => prepare(fields, spec),
    check: () => checkSite({ ...site, ...options, now, example: exampleBody(site) }),
    submit: (request, token) => submit(site, request as SlurmRequest, token),
    find: (launchKey) => find(site, launchKey),
    poll: (handles) => poll(site, handles as SlurmHandle[]),
    cancel: (handle) => cancel(site, handle as SlurmHandle),
    cleanup: async (handle) => {
      await cancel(site, handle as SlurmHandle);
    },
  };
}

function prepare(fields: SlurmFields, spec: LaunchSpec): SlurmRequest {
  requireGpus(spec);
  requireReachable(fields, spec);
  requireImage(fields, spec);
  const { target, resources, launchKey } = spec;
  const { count, type } = resources.gpus;
  const places = placesOf(fields, spec);
  const minutes = Math.ceil(resources.timeoutSeconds / 60);
  const cpus = Math.ceil(resources.cpus);
  const own = {
    ...target.environment,
    CW_API: spec.api,
    CW_JOB: spec.jobId,
    CW_DATA: places.data,
    CW_OUT: places.out,
  };
  const names = [...Object.keys(own), 'CW_TOKEN'];
  return {
    launchKey,
    path: pathsOf(fields).submit,
    asks: asksOf(spec, { minutes, cpus, partition: fields.partition }),
    body: submitBody(fields, {
      launchKey,
      script: batchScript(fields, spec, { minutes, cpus, names }),
      environment: { PATH: usualPath, ...fields.shellEnvironment, ...own },
      cpus,
      memoryMiB: resources.memoryMiB,
      minutes,
      gpus: { count, type: slurmName(fields, type) },
      logFolder: (fields.logFolder ?? fields.outputPath).replace(/(?<=.)\/+$/, ''),
    }),
  };
}

/** A request in words, for what Slurm says of it. */
function asksOf(
  { resources }: LaunchSpec,
  { minutes, cpus, partition }: { minutes: number; cpus: number; partition: string },
): string {
  const { count, type } = resources.gpus;
  const some = (number: number, what: string) => `${number} ${what}${number === 1 ? '' : 's'}`;
  const gpus = count === 0 ? [] : [`${some(count, 'GPU')}${type ? ` of type ${type}` : ''}`];
  const parts = [...gpus, some(cpus, 'CPU'), `${resources.memoryMiB} MiB`];
  return `${parts.join(', ')} for ${some(minutes, 'minute')} in partition ${partition}`;
}

function slurmName({ gpuNames }: SlurmFields, type: string | undefined): string | null {
  if (type === undefined) return null;
  return (gpuNames[type] ?? type) || null;
}

// A node's loopback address is the node, unless slurmrestd is there too: all on one machine.
function requireReachable({ address }: SlurmFields, { target, api }: LaunchSpec): void {
  if (!isLoopback(api) || isLoopback(address)) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}": the nodes of the cluster cannot reach the service at ${api}. Give the target "api" or the service CW_PUBLIC_URL, an address that the nodes reach.`,
    { errors: [{ pointer: '/target', detail: 'its nodes cannot reach the service' }] },
  );
}

function requireImage({ container }: SlurmFields, { image, target }: LaunchSpec): void {
  if (image !== null || (container ?? 'bare') === 'bare') return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}" runs images by ${container}, and the job has none: list them in "images" of the target.`,
    { errors: [{ pointer: '/image', detail: 'is needed on this target' }] },
  );
}

function exampleBody({ fields, target }: Site): SlurmBody {
  const type = slurmName(fields, target.gpuTypes[0]);
  return submitBody(fields, {
    launchKey: 'cw-check-1',
    script: '#!/bin/bash\n',
    environment: { PATH: usualPath },
    cpus: 1,
    memoryMiB: 1,
    minutes: 1,
    gpus: { count: 1, type },
    logFolder: '/',
  });
}

async function submit(site: Site, request: SlurmRequest, token: string): Promise<SlurmHandle> {
  const { target, ask } = site;
  const { launchKey, path, asks } = request;
  if ((await find(site, launchKey)) !== null) {
    throw new ProblemError('conflict', `${launchKey} was launched before; not started twice.`);
  }
  const body = withVariable(request.body, 'CW_TOKEN', token);
  const answer = await ask('POST', path, body);
  const job = Number(answer.body.job_id ?? 0);
  // With a number it was taken, whatever else was said: that it has to wait, and why, poll tells.
  if (!(job > 0)) throw submitProblem(target.name, answer.faults, { asks, secret: token });
  const handle = { launchKey, job };
  await requireUnderstood(site, handle, answer);
  return handle;
}

// A newer slurmrestd only warns of a field that it does not know: a job that asked for a GPU would
// train without one.
async function requireUnderstood(
  site: Site,
  handle: SlurmHandle,
  { warnings }: SlurmAnswer,
): Promise<void> {
  const ignored = warnings.filter((text) => /unknown (field|key)/i.test(text));
  if (ignored.length === 0) return;
  await cancel(site, handle);
  throw new ProblemError(
    'unprocessable',
    `Target "${site.target.name}": slurmrestd left out a part of the job (${ignored.join('; ')}), so it was cancelled; mend "apiVersion" of the target, GET /v1/targets/${site.target.name}/check says more.`,
    { errors: [{ pointer: '/target', detail: 'its slurmrestd does not know all of a job' }] },
  );
}

async function jobsOf({ target, fields, ask }: Site): Promise<SlurmJob[]> {
  const answer = await ask('GET', pathsOf(fields).jobs);
  requireNoFault(target.name, answer);
  const { jobs } = answer.body;
  if (Array.isArray(jobs)) return jobs.map(readJob);
  throw unanswered(target.name, [{ number: null, text: 'no list of jobs' }]);
}

// Two submits whose answers were both lost leave two jobs: the newest holds, because its token has
// voided those before. The others are cancelled.
async function find(site: Site, launchKey: string): Promise<SlurmHandle | null> {
  const all = (await jobsOf(site))
    .filter(({ name, comment }) => name === launchKey && comment === launchKey)
    .sort((one, other) => other.id - one.id);
  const [newest, ...others] = all;
  for (const job of others) {
    if (!isOver(job)) await cancel(site, { launchKey, job: job.id });
  }
  return newest === undefined ? null : { launchKey, job: newest.id };
}

async function poll(site: Site, handles: SlurmHandle[]): Promise<Map<string, Observation>> {
  const jobs = new Map((await jobsOf(site)).map((job) => [job.id, job]));
  const told = new Map<string, Observation>();
  for (const { launchKey, job } of handles) {
    const found = jobs.get(job);
    // A controller that lost its state counts from one again.
    const isOurs = found !== undefined && found.name === launchKey;
    const detail = `Slurm has no job ${job} of that name any more`;
    told.set(launchKey, isOurs ? observationOf(found) : { state: 'notFound', detail });
  }
  const isMissing = [...told.values()].some(({ state }) => state === 'notFound');
  if (isMissing) await pingedController(site.ask, site);
  return told;
}

// Always by the plain request: Slurm sends SIGTERM to everything in the job, and SIGKILL after the
// site's KillWait. With `?signal=SIGTERM` a job in the queue is refused, and srun, which hears it
// too, kills its trainer at once; both were seen.
async function cancel(
  { target, fields, ask }: Site,
  { job: id, launchKey }: SlurmHandle,
): ReturnType<Launcher['cancel']> {
  const path = pathsOf(fields).job(id);
  const has = ({ faults }: SlurmAnswer, code: number) =>
    faults.some(({ number }) => number === code);
  const answer = await ask('GET', path);
  if (has(answer, unknownJob)) return 'gone';
  requireNoFault(target.name, answer);
  const found = (answer.body.jobs ?? []).map(readJob).find((job: SlurmJob) => job.id === id);
  if (found === undefined || found.name !== launchKey) return 'gone';
  if (isOver(found)) return 'alreadyDone';
  // Asked again at every tick; but one that Slurm means to start again is ending just now, too.
  if (found.states.includes('COMPLETING') && found.restarts === 0) return 'accepted';
  const told = await ask('DELETE', path);
  if (has(told, unknownJob)) return 'gone';
  if (has(told, alreadyOver)) return 'alreadyDone';
  requireNoFault(target.name, told);
  return 'accepted';
}
