// What is wrong with a Slurm target, in plain words: token, controller, partition, GPUs, nodes.

import { resourcesSchema } from '../../contract/settings.ts';
import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { requireNoFault, type SlurmApi } from './api.ts';
import {
  pathsOf,
  readNode,
  readPartition,
  type SlurmBody,
  type SlurmNode,
  type SlurmPartition,
} from './dialects.ts';
import type { SlurmFields } from './fields.ts';
import { unknownFields } from './schema.ts';
import { renewal, requireUnexpired, tokenClaims } from './token.ts';

type Site = {
  target: LaunchTarget;
  fields: SlurmFields;
  ask: SlurmApi;
  credential: () => Promise<string | null>;
  now: () => Date;
  /** A request with everything in it that may be asked for. */
  example: SlurmBody;
};

const ok = (detail: string): Finding => ({ severity: 'ok', detail });
const warning = (detail: string): Finding => ({ severity: 'warning', detail });
const error = (detail: string): Finding => ({ severity: 'error', detail });

/** Every finding up to the first that keeps Slurm from being asked. */
export async function checkSite(site: Site): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    const token = (await site.credential()) ?? '';
    requireUnexpired(site.target.name, token, site.now());
    findings.push(tokenFinding(token, site));
    findings.push(await pingFinding(site));
    if (site.fields.dialect === 'modern') findings.push(await schemaFinding(site));
    findings.push(...(await partitionFindings(site)));
  } catch (cause) {
    if (!(cause instanceof ProblemError)) throw cause;
    findings.push(error(cause.detail));
  }
  return findings;
}

function tokenFinding(token: string, { fields, now }: Site): Finding {
  const claims = tokenClaims(token);
  if (claims === null) return warning('the token is no JWT, so it cannot be told when it expires');
  const { expiresAt, user } = claims;
  if (user !== null && user !== fields.user) {
    return error(`the token is of user ${user}, the target says ${fields.user}`);
  }
  if (expiresAt === null) return warning('the token never expires; one that does is safer');
  const hours = (expiresAt.getTime() - now().getTime()) / 3_600_000;
  const at = expiresAt.toISOString();
  if (hours > 24) return ok(`the token is good until ${at}`);
  return warning(`the token expires in ${inWords(hours)}, at ${at}; renew it: ${renewal}`);
}

function inWords(hours: number): string {
  return hours < 1 ? `${Math.ceil(hours * 60)} minutes` : `${Math.floor(hours)} hours`;
}

type Ping = { hostname?: string; ping?: string; pinged?: string; responding?: boolean };
type Meta = Partial<Record<'Slurm' | 'slurm', { release?: string }>>;

const isUp = ({ ping, pinged, responding }: Ping) =>
  responding === true || ping === 'UP' || pinged === 'UP';

/** Throws ProblemError `launcher-failed` where no controller answers. */
export async function pingedController(
  ask: SlurmApi,
  { target, fields }: Pick<Site, 'target' | 'fields'>,
): Promise<{ host: string; release: string }> {
  const answer = await ask('GET', pathsOf(fields).ping);
  requireNoFault(target.name, answer);
  const { pings = [], meta } = answer.body as { pings?: Ping[]; meta?: Meta };
  const up = pings.find(isUp);
  if (up === undefined) {
    const detail = `Target "${target.name}": no slurmctld answers slurmrestd.`;
    throw new ProblemError('launcher-failed', detail);
  }
  const release = (meta?.Slurm ?? meta?.slurm)?.release ?? 'of unknown version';
  return { host: up.hostname ?? 'its host', release };
}

async function pingFinding(site: Site): Promise<Finding> {
  const { host, release } = await pingedController(site.ask, site);
  return ok(`slurmctld on ${host} answers: Slurm ${release}, API ${site.fields.apiVersion}`);
}

async function schemaFinding({ ask, fields, example }: Site): Promise<Finding> {
  const { body } = await ask('GET', '/openapi/v3');
  const unknown = unknownFields(body, pathsOf(fields).submit, example);
  if (unknown === null) return error(`slurmrestd does not serve ${fields.apiVersion}`);
  if (unknown.length === 0) return ok('slurmrestd knows every field of a job');
  const list = unknown.join(', ');
  return error(`slurmrestd would leave out of a job what it does not know: ${list}`);
}

async function partitionFindings(site: Site): Promise<Finding[]> {
  const { ask, target, fields } = site;
  const paths = pathsOf(fields);
  const partitions = await ask('GET', paths.partitions);
  requireNoFault(target.name, partitions);
  const all = (partitions.body.partitions ?? []).map(readPartition) as SlurmPartition[];
  const partition = all.find(({ name }) => name === fields.partition);
  if (partition === undefined) {
    const names = all.map(({ name }) => name).join(', ') || 'none';
    return [error(`there is no partition ${fields.partition}; there are: ${names}`)];
  }
  const nodes = await ask('GET', paths.nodes);
  requireNoFault(target.name, nodes);
  const members = ((nodes.body.nodes ?? []).map(readNode) as SlurmNode[]).filter((node) =>
    node.partitions.includes(fields.partition),
  );
  return [
    partitionFinding(partition, target),
    ...drainedFindings(members),
    ...target.gpuTypes.map((type) => gpuFinding(type, fields, members)),
  ];
}

function partitionFinding(
  { name, states, maxMinutes }: SlurmPartition,
  { defaults }: LaunchTarget,
): Finding {
  const state = states.join(' ');
  if (state !== 'UP') return error(`partition ${name} is ${state}: it starts no jobs`);
  const minutes = Math.ceil(resourcesSchema.parse(defaults).timeoutSeconds / 60);
  if (maxMinutes === null) return ok(`partition ${name} is up, without a limit of time`);
  if (minutes <= maxMinutes)
    return ok(`partition ${name} is up, for at most ${maxMinutes} minutes`);
  return warning(
    `partition ${name} takes jobs of at most ${maxMinutes} minutes, and without timeoutSeconds a job asks for ${minutes}: set defaults.timeoutSeconds of the target to ${maxMinutes * 60} or less`,
  );
}

const unusable =
  /^(DOWN|DRAIN|DRAINED|DRAINING|FAIL|FAILING|ERROR|MAINT|MAINTENANCE|NOT_RESPONDING)/;
const isUsable = ({ states }: SlurmNode) => !states.some((state) => unusable.test(state));

function drainedFindings(nodes: SlurmNode[]): Finding[] {
  const bad = nodes.filter((node) => !isUsable(node));
  const shown = bad.slice(0, 10).map(({ name, states, reason }) => {
    const why = reason === '' ? '' : `: ${reason}`;
    return warning(`node ${name} takes no jobs (${states.join(' ')}${why})`);
  });
  const rest = bad.length - shown.length;
  const more = rest > 0 ? [warning(`${rest} more nodes take no jobs`)] : [];
  const none =
    bad.length === nodes.length ? [error('no node of the partition takes jobs now')] : [];
  return [...shown, ...more, ...none];
}

function gpuFinding(
  type: string,
  { gpuNames, partition }: SlurmFields,
  nodes: SlurmNode[],
): Finding {
  const name = gpuNames[type] ?? type;
  const sum = (some: SlurmNode[], of: 'gpus' | 'gpusUsed') =>
    some.reduce((total, node) => total + countOf(node[of], name), 0);
  const all = sum(nodes, 'gpus');
  if (all === 0) {
    const there = [...new Set(nodes.flatMap(({ gpus }) => Object.keys(gpus)))];
    const list = there.map((one) => one || '(without a type)').join(', ') || 'none';
    const hint = 'name it as Slurm does in "gpuNames" of the target';
    return error(`partition ${partition} has no GPU ${name}; it has: ${list}. Or ${hint}`);
  }
  const usable = nodes.filter(isUsable);
  const free = sum(usable, 'gpus') - sum(usable, 'gpusUsed');
  const detail = `partition ${partition} has ${all} GPUs ${name || 'of any type'}, ${free} free`;
  return free > 0 ? ok(detail) : warning(`${detail}: jobs will wait`);
}

// Slurm counts those in use by type only where the type was asked for.
function countOf(counts: Record<string, number>, name: string): number {
  if (name !== '') return counts[name] ?? 0;
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
