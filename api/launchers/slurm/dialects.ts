// The two dialects of slurmrestd: v0.0.38 (legacy), and v0.0.42 and later (modern). How a job is
// asked for, and how what Slurm says of jobs, nodes and partitions is read, in one form for both.

import type { SlurmFields } from './fields.ts';

export type JobDescription = {
  launchKey: string;
  script: string;
  environment: Record<string, string>;
  cpus: number;
  memoryMiB: number;
  minutes: number;
  gpus: { count: number; type: string | null };
  logFolder: string;
};

export type SlurmBody = { script?: string; job: { [field: string]: unknown } };

export type SlurmJob = {
  id: number;
  name: string;
  comment: string;
  states: string[];
  reason: string;
  description: string;
  /** `fault`: a number of slurmd, which could not start the script. */
  exit: { code: number | null; signal: number | null; fault: number | null };
  restarts: number;
};

export type SlurmNode = {
  name: string;
  partitions: string[];
  states: string[];
  reason: string;
  gpus: Record<string, number>;
  gpusUsed: Record<string, number>;
};

export type SlurmPartition = { name: string; states: string[]; maxMinutes: number | null };

type Json = Record<string, unknown>;

/** Paths of an API version, from the address on. */
export function pathsOf({ apiVersion, dialect }: Pick<SlurmFields, 'apiVersion' | 'dialect'>) {
  const base = `/slurm/${apiVersion}`;
  const end = dialect === 'legacy' ? '' : '/';
  return {
    ping: `${base}/ping${end}`,
    jobs: `${base}/jobs${end}`,
    nodes: `${base}/nodes${end}`,
    partitions: `${base}/partitions${end}`,
    submit: `${base}/job/submit`,
    job: (id: number) => `${base}/job/${id}`,
  };
}

/** What is posted for a job, without its token. */
export function submitBody(fields: SlurmFields, job: JobDescription): SlurmBody {
  const { partition, account, qos, reservation, constraint } = fields;
  const optional = { account, qos, reservation, constraints: constraint };
  const said = Object.entries(optional).filter(([, value]) => value !== undefined);
  const common = {
    name: job.launchKey,
    comment: job.launchKey,
    partition,
    ...Object.fromEntries(said),
    tasks: 1,
    cpus_per_task: job.cpus,
    current_working_directory: job.logFolder,
    standard_output: `${job.logFolder}/${job.launchKey}.log`,
  };
  return fields.dialect === 'legacy' ? legacyBody(common, job) : modernBody(common, job);
}

// An attempt runs once: `requeue: false` is ignored here, and no_requeue, which is not documented,
// is heard.
function legacyBody(common: object, job: JobDescription): SlurmBody {
  const gres = gpuRequest(job, 'gpu');
  return {
    script: job.script,
    job: {
      ...common,
      time_limit: job.minutes,
      memory_per_node: job.memoryMiB,
      ...(gres === null ? {} : { gres }),
      no_requeue: true,
      environment: job.environment,
    },
  };
}

function modernBody(common: object, job: JobDescription): SlurmBody {
  const tres = gpuRequest(job, 'gres/gpu');
  const number = (value: number) => ({ set: true, infinite: false, number: value });
  return {
    job: {
      ...common,
      time_limit: number(job.minutes),
      memory_per_node: number(job.memoryMiB),
      ...(tres === null ? {} : { tres_per_node: tres }),
      requeue: false,
      environment: Object.entries(job.environment).map(([name, value]) => `${name}=${value}`),
      script: job.script,
    },
  };
}

function gpuRequest({ gpus }: JobDescription, kind: string): string | null {
  if (gpus.count === 0) return null;
  return [kind, ...(gpus.type === null ? [] : [gpus.type]), gpus.count].join(':');
}

/** The same body with one more variable in the job's environment. */
export function withVariable(body: SlurmBody, name: string, value: string): SlurmBody {
  const { environment } = body.job;
  const more = Array.isArray(environment)
    ? [...environment, `${name}=${value}`]
    : { ...(environment as object), [name]: value };
  return { ...body, job: { ...body.job, environment: more } };
}

/** A job as `GET /jobs` has it, in either dialect. */
export function readJob(record: Json): SlurmJob {
  return {
    id: Number(record.job_id),
    name: String(record.name ?? ''),
    comment: String(record.comment ?? ''),
    states: words(record.job_state),
    reason: String(record.state_reason ?? ''),
    description: String(record.state_description ?? ''),
    exit: readExit(record.exit_code),
    restarts: numberOf(record.restart_cnt) ?? 0,
  };
}

/** Whether a job has ended and left its node. */
export function isOver({ states }: SlurmJob): boolean {
  const live = ['PENDING', 'RUNNING', 'SUSPENDED', 'CONFIGURING', 'COMPLETING', 'STAGE_OUT'];
  const resting = ['STOPPED', 'SIGNALING', 'RESIZING', 'REQUEUED', 'REQUEUE_HOLD', 'SPECIAL_EXIT'];
  return states.length > 0 && !states.some((one) => [...live, ...resting].includes(one));
}

/** Values such as "idle", ["IDLE", "DRAIN"], in capitals. */
function words(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  return list
    .filter((one) => typeof one === 'string' && one !== '')
    .map((one) => one.toUpperCase());
}

/** A number, plain or as {set, infinite, number}; null where it is not set or has no end. */
function numberOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  const { set, infinite, number } = (value ?? {}) as Json;
  return set === true && infinite !== true && typeof number === 'number' ? number : null;
}

// A number of the legacy dialect is a wait status (code << 8, or a signal), but of a script that
// was never started it is the number of slurmd's error, such as 4021.
function readExit(value: unknown): SlurmJob['exit'] {
  if (typeof value === 'number') {
    const none = { code: null, signal: null, fault: null };
    if (value % 256 === 0) return { ...none, code: value / 256 };
    return value < 256 ? { ...none, signal: value % 128 } : { ...none, fault: value };
  }
  const { return_code, signal } = (value ?? {}) as Json;
  const number = numberOf((signal as Json | undefined)?.id);
  const isKilled = number !== null && number > 0;
  const code = isKilled ? null : numberOf(return_code);
  return { code, signal: isKilled ? number : null, fault: null };
}

/** A partition of `GET /partitions`. */
export function readPartition(record: Json): SlurmPartition {
  const { maximums, partition } = record as { maximums?: Json; partition?: Json };
  const maxMinutes = numberOf(maximums === undefined ? record.max_time_limit : maximums.time);
  return {
    name: String(record.name),
    states: words(partition === undefined ? record.state : partition.state),
    maxMinutes: maxMinutes === null || maxMinutes < 0 ? null : maxMinutes,
  };
}

/** A node of `GET /nodes`. */
export function readNode(record: Json): SlurmNode {
  const partitions = Array.isArray(record.partitions) ? record.partitions : [];
  return {
    name: String(record.name),
    partitions: partitions.map(String),
    states: [...words(record.state), ...words(record.state_flags)],
    reason: String(record.reason ?? ''),
    gpus: readGpus(record.gres),
    gpusUsed: readGpus(record.gres_used),
  };
}

/** Types and counts in `gpu:h200:2(S:0-1),gpu:1`; the type of those without one is empty. */
export function readGpus(gres: unknown): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const part of String(gres ?? '').matchAll(
    /(?:^|,)gpu(?::([^:,(]*[^:,(\d][^:,(]*))?:(\d+)/g,
  )) {
    const type = part[1] ?? '';
    counts[type] = (counts[type] ?? 0) + Number(part[2]);
  }
  return counts;
}
