// What a job of AWS Batch means for an attempt: a pure function over what DescribeJobs says. Batch
// has one word for every bad end, FAILED; which it was stands in two texts.

import type { Observation } from '../launcher.ts';

/** What is read of a JobDetail. */
export type AwsJob = {
  jobId: string;
  jobName: string;
  status: string;
  statusReason?: string;
  createdAt?: number;
  isCancelled?: boolean;
  isTerminated?: boolean;
  tags?: Record<string, string>;
  container?: { exitCode?: number; reason?: string; logStreamName?: string };
};

/** What a job is terminated with, so that it is known again. */
export const stopReason = 'stopped by Counterweight';

const runnableMs = 10 * 60_000;

export const isOver = ({ status }: AwsJob) => status === 'SUCCEEDED' || status === 'FAILED';

/** The observation of a job at a time, in milliseconds. */
export function observationOf(job: AwsJob, now: number): Observation {
  const { status, container } = job;
  if (status === 'SUBMITTED' || status === 'PENDING') return { state: 'queued' };
  if (status === 'RUNNABLE') return waiting(job, now);
  if (status === 'STARTING') {
    return { state: 'starting', detail: 'has a machine; its image is being fetched' };
  }
  if (status === 'RUNNING') return { state: 'running' };
  // Batch says SUCCEEDED of exit code 0 only.
  if (status === 'SUCCEEDED') return exited(container?.exitCode ?? 0);
  if (status === 'FAILED') return failed(job);
  return { state: 'unknown', detail: `AWS Batch says "${status}", which is not known here` };
}

const exited = (code: number): Observation => ({ state: 'exited', exit: { code, signal: null } });

// The words do not change while it waits: each change would be told anew.
function waiting({ statusReason = '', createdAt }: AwsJob, now: number): Observation {
  const known: [RegExp, string][] = [
    [
      /INSUFFICIENT_INSTANCE_CAPACITY/,
      'AWS has no free machine of this type now; it waits, or give the compute environment more instance types',
    ],
    [
      /COMPUTE_ENVIRONMENT_MAX_RESOURCE/,
      'it asks for more than maxvCpus of the compute environment allows',
    ],
    [
      /JOB_RESOURCE_REQUIREMENT/,
      'no machine of the compute environment has the vCPUs, memory and GPUs that it asks for',
    ],
    [/SERVICE_ROLE_PERMISSIONS/, 'the service role of the compute environment lacks a right'],
  ];
  const hint = known.find(([pattern]) => pattern.test(statusReason))?.[1];
  if (hint !== undefined) return { state: 'queued', detail: `${hint} (${statusReason})` };
  if (statusReason !== '') return { state: 'queued', detail: statusReason };
  if (createdAt === undefined || now - createdAt < runnableMs) return { state: 'queued' };
  const detail =
    'is ready and has waited for a machine for more than ten minutes: see that the compute environment is enabled, has an instance type with such a GPU, enough maxvCpus, and that the quota of the account allows it';
  return { state: 'queued', detail };
}

function failed({ statusReason = '', container, isCancelled, isTerminated }: AwsJob): Observation {
  const { exitCode, reason = '' } = container ?? {};
  const exit = exitCode === undefined ? {} : { exit: { code: exitCode, signal: null } };
  const said = [statusReason, reason].filter((one) => one !== '').join('; ');
  if (/attempt duration exceeded timeout/i.test(statusReason)) {
    return { state: 'timedOut', detail: said, ...exit };
  }
  // A cancellation that came too late to hold is remembered too.
  const isWithdrawn = isTerminated || (isCancelled && exitCode === undefined);
  if (isWithdrawn || statusReason === stopReason) {
    return { state: 'cancelled', detail: `was terminated on AWS: ${said}` };
  }
  if (/^Host EC2/i.test(statusReason)) {
    const detail = `its machine was taken away, as spot machines are (${said})`;
    return { state: 'failed', reason: 'infrastructure', detail };
  }
  if (/OutOfMemory/i.test(reason)) {
    const detail = `was killed because it used more than resources.memoryMiB (${said})`;
    return { state: 'failed', reason: 'outOfMemory', detail, ...exit };
  }
  const known = whyNotStarted(said);
  if (known !== null) return { state: 'failed', ...known };
  if (exitCode !== undefined) return exited(exitCode);
  return { state: 'failed', detail: `failed; AWS Batch says ${said || 'no more'}` };
}

const passing = /timeout|timed out|toomanyrequests|handshake|connection (reset|refused)|EOF/i;

function whyNotStarted(said: string): Pick<Observation, 'reason' | 'detail'> | null {
  const [, what] =
    said.match(/(Cannot\w+|\w*RuntimeTimeout\w*|Docker\w+Error|\w+InitializationError)/) ?? [];
  if (what === undefined) return null;
  if (/Timeout|^Docker|CannotInspect|CannotStop/.test(what) || passing.test(said)) {
    return { reason: 'infrastructure', detail: `could not be started (${said})` };
  }
  const hint = /^CannotPull/.test(what)
    ? 'its image cannot be fetched: see the image of the job definition and the rights of the machine on its registry'
    : 'its container cannot be made: see the mounts and the command of the job definition';
  return { reason: 'config', detail: `${hint} (${said})` };
}
