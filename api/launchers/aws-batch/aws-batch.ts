// Jobs of AWS Batch, over its API alone: no SDK, so it also runs in workerd. Batch has no
// idempotency and gives names away twice: the launch key is the job's name and its tag, and is
// looked up before a job is submitted.

import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import type { Handle, Launcher, LauncherOptions, LaunchRequest, Observation } from '../launcher.ts';
import { isLoopback } from '../loopback.ts';
import { ownFields, requireField, targetProblem } from '../target-fields.ts';
import { checkTarget } from './check.ts';
import { type Aws, awsOf, serviceOf } from './client.ts';
import { type Fields, fieldsSchema, launchTag, prepareJob, requireDefinitions } from './request.ts';
import { type AwsJob, isOver, observationOf, stopReason } from './states.ts';

const mostIds = 100;
const mostPages = 50;
const logLines = 60;

export function createAwsBatchLauncher(
  target: LaunchTarget,
  { credential }: Pick<LauncherOptions, 'credential'>,
): Launcher {
  const fields = ownFields(target, fieldsSchema);
  const { region, logsAddress } = fields;
  const batch = serviceOf(target, 'address', { region, given: target.address });
  const logs = serviceOf(target, 'logsAddress', { region, given: logsAddress });
  requireField(target, 'outputPath', '/out, a mount of the job definition');
  requireDefinitions(target, fields);
  if (target.credentials === undefined) {
    throw targetProblem(target, 'credentials', 'is missing; see infra/aws');
  }
  const aws = awsOf(target, { batch, logs }, credential);
  const { queue } = fields;
  return {
    engine: 'aws-batch',
    pollSeconds: 30,
    prepare: (spec) => prepareJob(fields, spec, { isLocal: isLoopback(batch.address) }),
    check: () => checkTarget(aws, target, fields),
    submit: (request, token) => submit(aws, queue, request, token),
    find: (launchKey) => find(aws, queue, launchKey),
    poll: (handles) => poll(aws, fields, handles),
    cancel: (handle) => cancel(aws, handle),
    cleanup: async ({ launchKey }) => {
      for (const job of await jobsNamed(aws, queue, launchKey)) await stop(aws, job);
    },
  };
}

type Submitted = {
  job: { containerOverrides: { environment: { name: string; value: string }[] } };
};

async function submit(
  aws: Aws,
  queue: string,
  request: LaunchRequest,
  token: string,
): Promise<Handle> {
  const { launchKey, job } = request as LaunchRequest & Submitted;
  if ((await jobsNamed(aws, queue, launchKey)).length > 0) {
    throw new ProblemError('conflict', `${launchKey} was launched before; not started twice.`);
  }
  const { containerOverrides } = job;
  const environment = [...containerOverrides.environment, { name: 'CW_TOKEN', value: token }];
  const body = { ...job, containerOverrides: { ...containerOverrides, environment } };
  const { jobId } = await aws.batch('SubmitJob', body, token);
  if (typeof jobId === 'string') return { launchKey, awsJobId: jobId };
  throw new ProblemError('launcher-failed', 'AWS Batch took the job and named no job id.');
}

/** Jobs of a launch key, the newest first. A name is no proof: the tag has to say it too. */
async function jobsNamed(aws: Aws, queue: string, launchKey: string): Promise<AwsJob[]> {
  const ids: string[] = [];
  let nextToken: string | undefined;
  for (let page = 0; page < mostPages; page++) {
    const filters = [{ name: 'JOB_NAME', values: [launchKey] }];
    const answer = await aws.batch('ListJobs', { jobQueue: queue, filters, nextToken });
    ids.push(...listOf<AwsJob>(answer.jobSummaryList).map(({ jobId }) => jobId));
    nextToken = answer.nextToken ?? undefined;
    if (nextToken === undefined) break;
  }
  const jobs = [...(await described(aws, ids)).values()];
  return jobs
    .filter(({ jobName, tags }) => jobName === launchKey && tags?.[launchTag] === launchKey)
    .sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
}

async function described(aws: Aws, ids: string[]): Promise<Map<string, AwsJob>> {
  const found = new Map<string, AwsJob>();
  for (let from = 0; from < ids.length; from += mostIds) {
    const jobs = ids.slice(from, from + mostIds);
    const answer = await aws.batch('DescribeJobs', { jobs });
    for (const job of listOf<AwsJob>(answer.jobs)) found.set(job.jobId, job);
  }
  return found;
}

function listOf<Item>(list: unknown): Item[] {
  if (Array.isArray(list)) return list;
  throw new ProblemError(
    'launcher-failed',
    'AWS Batch answered something that is no list of jobs.',
  );
}

// Where an unclear answer led to a second job, the newest has the attempt's token: that of the one
// before was replaced, so it could only fail.
async function find(aws: Aws, queue: string, launchKey: string): Promise<Handle | null> {
  const [newest, ...older] = await jobsNamed(aws, queue, launchKey);
  if (newest === undefined) return null;
  for (const job of older) await stop(aws, job);
  const twins = older.map(({ jobId }) => jobId);
  return { launchKey, awsJobId: newest.jobId, ...(twins.length === 0 ? {} : { twins }) };
}

async function stop(aws: Aws, job: AwsJob): Promise<void> {
  // Told at every tick; AWS remembers the first time.
  if (isOver(job) || job.isTerminated) return;
  await aws.batch('TerminateJob', { jobId: job.jobId, reason: stopReason });
}

const idOf = ({ awsJobId }: Handle) => (typeof awsJobId === 'string' ? awsJobId : '');

async function cancel(aws: Aws, handle: Handle): ReturnType<Launcher['cancel']> {
  const id = idOf(handle);
  const job = id === '' ? undefined : (await described(aws, [id])).get(id);
  if (job === undefined) return 'gone';
  if (isOver(job)) return 'alreadyDone';
  await stop(aws, job);
  return 'accepted';
}

async function poll(
  aws: Aws,
  { logGroup }: Fields,
  handles: Handle[],
): Promise<Map<string, Observation>> {
  const ids = [...new Set(handles.map(idOf).filter((id) => id !== ''))];
  const jobs = await described(aws, ids);
  const told = new Map<string, Observation>();
  let hasLogs = true;
  for (const handle of handles) {
    const job = jobs.get(idOf(handle));
    const seen = job === undefined ? gone : withTwins(observationOf(job, Date.now()), handle);
    told.set(handle.launchKey, seen);
    if (!hasLogs || job === undefined || !isOver(job)) continue;
    const output: string | null = await tail(aws, logGroup, job);
    hasLogs = output !== null;
    if (output) told.set(handle.launchKey, { ...seen, output });
  }
  return told;
}

const gone: Observation = {
  state: 'notFound',
  detail: 'AWS Batch knows no such job; ended ones are forgotten after about a week',
};

function withTwins(seen: Observation, { twins }: Handle): Observation {
  if (!Array.isArray(twins)) return seen;
  const note = `was submitted twice, and the older job (${twins.join(', ')}) is stopped`;
  return { ...seen, detail: seen.detail === undefined ? note : `${seen.detail}; ${note}` };
}

/** The last lines of an ended job; empty without any, null where Logs gave no answer. */
async function tail(aws: Aws, logGroupName: string, { container }: AwsJob): Promise<string | null> {
  const logStreamName = container?.logStreamName;
  if (!logStreamName) return '';
  try {
    const asked = { logGroupName, logStreamName, limit: logLines, startFromHead: false };
    const { json } = await aws.logs('GetLogEvents', asked);
    const events: { message: string }[] = json?.events ?? [];
    return events.map(({ message }) => `${message}\n`).join('');
  } catch {
    return null; // the output is an extra: how the job ended is known without it
  }
}
