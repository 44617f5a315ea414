// What is wrong with a target on AWS Batch, in plain words: keys, queue, compute environments, and
// whether each job definition runs the image that the target says and mounts its folders.

import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { type Aws, errorNameOf } from './client.ts';
import type { Fields } from './request.ts';

const ok = (detail: string): Finding => ({ severity: 'ok', detail });
const warning = (detail: string): Finding => ({ severity: 'warning', detail });
const error = (detail: string): Finding => ({ severity: 'error', detail });

/** Never throws for what it can tell. */
export async function checkTarget(
  aws: Aws,
  target: LaunchTarget,
  fields: Fields,
): Promise<Finding[]> {
  const keys = await tried(async () => {
    const { expiresAt } = await aws.keys();
    if (expiresAt === undefined) return [ok('credentials are there and name no end')];
    return [ok(`credentials hold until ${expiresAt.toISOString()}`)];
  });
  if (keys.some(({ severity }) => severity === 'error')) return keys;
  return [
    ...keys,
    ...(await tried(() => queueFindings(aws, target, fields.queue))),
    ...(await tried(() => definitionFindings(aws, target, fields))),
    ...(await tried(() => logFindings(aws, fields.logGroup))),
  ];
}

async function tried(look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (cause) {
    if (cause instanceof ProblemError) return [error(cause.detail)];
    throw cause;
  }
}

type Queue = {
  state: string;
  status?: string;
  statusReason?: string;
  computeEnvironmentOrder?: { computeEnvironment: string }[];
};

async function queueFindings(aws: Aws, target: LaunchTarget, name: string): Promise<Finding[]> {
  const { jobQueues = [] } = await aws.batch('DescribeJobQueues', { jobQueues: [name] });
  const [queue] = jobQueues as Queue[];
  if (queue === undefined) return [error(`there is no queue ${name} in this region`)];
  const environments = (queue.computeEnvironmentOrder ?? []).map((one) => one.computeEnvironment);
  return [
    standing(`queue ${name}`, queue),
    ...(environments.length === 0
      ? [error(`queue ${name} has no compute environment of EC2 or Fargate`)]
      : await environmentFindings(aws, target, environments)),
  ];
}

type Standing = { state?: string; status?: string; statusReason?: string };

function standing(what: string, { state, status = 'VALID', statusReason }: Standing): Finding {
  const why = statusReason === undefined ? '' : `: ${statusReason}`;
  if (state !== 'ENABLED') return error(`${what} is ${state}: enable it, it takes no jobs`);
  if (status === 'VALID') return ok(`${what} is enabled and valid`);
  const said = `${what} is ${status}${why}`;
  return status === 'INVALID' ? error(`${said}; its jobs wait for ever`) : warning(said);
}

type Environment = Standing & {
  computeEnvironmentName: string;
  computeEnvironmentArn: string;
  type?: string;
  containerOrchestrationType?: string;
  computeResources?: { type?: string; maxvCpus?: number; instanceTypes?: string[] };
};

async function environmentFindings(
  aws: Aws,
  { gpuTypes }: LaunchTarget,
  computeEnvironments: string[],
): Promise<Finding[]> {
  const answer = await aws.batch('DescribeComputeEnvironments', { computeEnvironments });
  const found = (answer.computeEnvironments ?? []) as Environment[];
  return found.flatMap((one) => {
    const { type = '', instanceTypes = [], maxvCpus } = one.computeResources ?? {};
    const named = `compute environment ${one.computeEnvironmentName}`;
    if (one.containerOrchestrationType === 'EKS') {
      return [error(`${named} is on EKS, which this launcher does not use`)];
    }
    const has = [type || one.type, instanceTypes.join(', '), maxvCpus && `up to ${maxvCpus} vCPUs`];
    const machines = ok(`${named}: ${has.filter(Boolean).join('; ')}`);
    const lacks = type.startsWith('FARGATE') && gpuTypes.length > 0;
    return [
      standing(named, one),
      lacks ? error(`${named} is Fargate, which has no GPUs, and gpuTypes are listed`) : machines,
    ];
  });
}

type Definition = {
  jobDefinitionName: string;
  jobDefinitionArn: string;
  revision: number;
  status?: string;
  type: string;
  containerProperties?: {
    image?: string;
    privileged?: boolean;
    mountPoints?: { containerPath?: string; readOnly?: boolean }[];
    logConfiguration?: { logDriver?: string; options?: Record<string, string> };
  };
};

async function definitionFindings(
  aws: Aws,
  target: LaunchTarget,
  { jobDefinitions, logGroup }: Fields,
): Promise<Finding[]> {
  const wanted = [...new Set(Object.values(jobDefinitions))];
  if (wanted.length === 0) return [error('images is empty, so nothing can be launched')];
  const answer = await aws.batch('DescribeJobDefinitions', { jobDefinitions: wanted });
  const found = (answer.jobDefinitions ?? []) as Definition[];
  return Object.entries(jobDefinitions).flatMap(([image, name]) => {
    const one = found.find(
      ({ jobDefinitionArn, jobDefinitionName, revision }) =>
        jobDefinitionArn === name || `${jobDefinitionName}:${revision}` === name,
    );
    if (one === undefined) return [error(`there is no job definition ${name} in this region`)];
    if (one.status !== 'ACTIVE') return [error(`job definition ${name} is ${one.status}`)];
    if (one.type !== 'container' || one.containerProperties === undefined) {
      const what = 'has no containerProperties; this launcher uses no other kind';
      return [error(`job definition ${name} ${what}`)];
    }
    return [
      imageFinding(name, image, one.containerProperties.image),
      ...mountFindings(name, target, one.containerProperties),
      ...driverFindings(name, logGroup, one.containerProperties),
    ];
  });
}

function imageFinding(name: string, image: string, runs = 'none'): Finding {
  if (runs === image) return ok(`job definition ${name} runs ${image}`);
  return error(
    `job definition ${name} runs ${runs}, but the target says ${image}: register a definition with that image and name its revision`,
  );
}

function mountFindings(
  name: string,
  { dataPaths, outputPath = '' }: LaunchTarget,
  { mountPoints = [], privileged = false }: NonNullable<Definition['containerProperties']>,
): Finding[] {
  const deepestFirst = mountPoints
    .map(({ containerPath = '', readOnly }) => ({
      folder: containerPath.replace(/\/+$/, ''),
      readOnly,
    }))
    .sort((a, b) => b.folder.length - a.folder.length);
  const holding = (path: string) =>
    deepestFirst.find(({ folder }) => path === folder || path.startsWith(`${folder}/`));
  const named = `job definition ${name}`;
  const out = holding(outputPath);
  const missing = (path: string) => `${named} mounts nothing that holds ${path}`;
  return [
    ...Object.values(dataPaths)
      .filter((path) => holding(path) === undefined)
      .map((path) => warning(`${missing(path)}, the folder of a dataset in the container`)),
    ...(out === undefined
      ? [warning(`${missing(outputPath)} (outputPath): checkpoints end with the container`)]
      : []),
    ...(out?.readOnly ? [error(`${named} mounts ${outputPath} (outputPath) read-only`)] : []),
    ...(privileged ? [warning(`${named} is privileged, which no trainer needs`)] : []),
  ];
}

function driverFindings(
  name: string,
  logGroup: string,
  { logConfiguration }: NonNullable<Definition['containerProperties']>,
): Finding[] {
  const { logDriver = 'awslogs', options } = logConfiguration ?? {};
  const group = options?.['awslogs-group'] ?? '/aws/batch/job';
  if (logDriver === 'awslogs' && group === logGroup) return [];
  const where = logDriver === 'awslogs' ? `the log group ${group}` : `the log driver ${logDriver}`;
  const detail = `job definition ${name} writes to ${where}, so the last lines of ended trainers are not shown; logGroup is ${logGroup}`;
  return [warning(detail)];
}

/** A stream that is not there is refused by name only to those who may read the group. */
async function logFindings(aws: Aws, logGroupName: string): Promise<Finding[]> {
  const logStreamName = 'counterweight-check';
  const answer = await aws.logs('GetLogEvents', { logGroupName, logStreamName, limit: 1 });
  const name = errorNameOf(answer);
  if (answer.status === 200) return [ok(`log group ${logGroupName} can be read`)];
  if (name !== 'ResourceNotFoundException') {
    const what = 'the last lines of ended trainers are not shown: allow logs:GetLogEvents';
    return [warning(`log group ${logGroupName} cannot be read (${name}), so ${what}`)];
  }
  if (/log group/i.test(String(answer.json?.message))) {
    return [warning(`there is no log group ${logGroupName} yet; the first job makes it`)];
  }
  return [ok(`log group ${logGroupName} can be read`)];
}
