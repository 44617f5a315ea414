// What a session of a workflow run may do: the one list. A request that no row allows is refused,
// so a route that is added stays closed to sessions until it gets a row.

import { launchJobSchema } from '../../contract/jobs.ts';
import type { Actor, Deps, GithubTrust } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { listAliasMoves } from '../../store/aliases.ts';
import { findJob, listSnapshotNames } from '../../store/jobs.ts';
import { findSnapshot } from '../../store/snapshots.ts';
import { aliasedParts } from '../snapshots/aliased.ts';

/** A request as its route reads it. */
export type Asked = {
  /** As `POST /v1/jobs/{id}/cancel`. */
  route: string;
  params: Record<string, string>;
  body: () => Promise<unknown>;
};

type Ask = Asked & { deps: Deps; actor: Actor; trust: GithubTrust };
type Rule = (ask: Ask) => void | Promise<void>;

const job = '/v1/jobs/{id}';
const dataset = '/v1/datasets/{dataset}';
const snapshot = '/v1/snapshots/{snapshot}';

/** What launching and watching need: nothing that lists, nothing that changes anything else. */
export const sessionRules: Record<string, Rule> = {
  'POST /v1/jobs': requireLaunch,
  [`GET ${job}`]: requireOwnJob,
  [`POST ${job}/cancel`]: requireOwnJob,
  [`GET ${job}/events`]: requireOwnJob,
  [`GET ${job}/metrics`]: requireOwnJob,
  [`GET ${job}/log`]: requireOwnJob,
  [`GET ${job}/ledger`]: requireOwnJob,
  [`GET ${job}/artifacts`]: requireOwnJob,
  [`GET ${dataset}`]: requireDataset,
  [`GET ${dataset}/aliases/{alias}`]: (ask) => {
    requireDataset(ask);
    requireAlias(ask.trust, ask.params.alias);
  },
  [`GET ${snapshot}`]: ({ params, ...ask }) => requireSnapshot(ask, params.snapshot),
  [`GET ${snapshot}/shares`]: ({ params, ...ask }) => requireSnapshot(ask, params.snapshot),
  'GET /v1/snapshots/{a}/diff/{b}': async ({ params, ...ask }) => {
    await requireSnapshot(ask, params.a);
    await requireSnapshot(ask, params.b);
  },
  'GET /v1/targets/{name}/check': ({ trust, params }) => requireTarget(trust, params.name),
};

const refused = (detail: string) =>
  new ProblemError('forbidden', `This session of a GitHub run ${detail}`);

/** Throws `forbidden` where a session asks for more than its policy allows; others pass. */
export async function requirePermitted(deps: Deps, actor: Actor, asked: Asked): Promise<void> {
  if (actor.github === undefined) return;
  const rule = Object.hasOwn(sessionRules, asked.route) ? sessionRules[asked.route] : undefined;
  if (rule !== undefined) return await rule({ ...asked, deps, actor, trust: actor.github });
  throw refused(
    'launches, watches and cancels its own jobs; for anything else use a token that an admin made.',
  );
}

async function requireLaunch({ deps, actor, trust, body }: Ask): Promise<void> {
  const read = launchJobSchema.safeParse(await body());
  if (!read.success) return; // its route refuses it, by the same schema
  const launch = read.data;
  requireTarget(trust, launch.target);
  if (launch.alias !== undefined) {
    requireNamed(trust, launch.dataset as string);
    requireAlias(trust, launch.alias);
  } else {
    await requireStanding({ deps, actor, trust }, launch.snapshot as string);
  }
  if (trust.dryRunOnly && launch.dryRun !== true) {
    throw refused('comes from a pull request, which sees dry runs only: send dryRun: true.');
  }
  if (launch.acceptWithdrawn) {
    throw refused('takes no withdrawn cases along: that is for a person to decide.');
  }
}

// Whether it exists or not: a session learns nothing of what is not its own.
async function requireOwnJob({ deps, actor, trust, params }: Ask): Promise<void> {
  const key = { workspaceId: actor.workspaceId, id: params.id };
  const own = (await findJob(deps.database.orm, key))?.github;
  if (own?.policy === trust.policy && own.run === trust.claims.run_id) return;
  throw refused(`sees the jobs that this run launched, and "${params.id}" is none of them.`);
}

function requireDataset({ trust, params }: Pick<Ask, 'trust' | 'params'>): void {
  requireNamed(trust, params.dataset);
}

function requireNamed(trust: GithubTrust, key: string): void {
  if (key === trust.dataset || key === trust.datasetId) return;
  throw refused(`is for dataset "${trust.dataset}", not for "${key}".`);
}

function requireAlias(trust: GithubTrust, alias: string): void {
  if (trust.aliases.includes(alias)) return;
  throw refused(`is for ${aliasesOf(trust)}, not for alias "${alias}".`);
}

function requireTarget({ targets }: GithubTrust, name: string): void {
  if (targets === null || targets.includes(name)) return;
  throw refused(`may launch on ${targets.join(', ')}, not on "${name}".`);
}

const aliasesOf = ({ dataset: name, aliases }: GithubTrust) =>
  aliases.map((alias) => `${name}@${alias}`).join(', ');

type Asking = Pick<Ask, 'deps' | 'actor' | 'trust'>;

/** Where an alias of the policy stands, or ever stood: what a run compares its snapshot with. */
async function requireSnapshot(ask: Asking, key: string): Promise<void> {
  if (isOfAlias(ask.trust, key)) return;
  if ((await knownAs(ask, key)).some(({ ever }) => ever)) return;
  throw refused(`reads the snapshots of ${aliasesOf(ask.trust)}, and "${key}" is none of them.`);
}

/** Where an alias of the policy stands now. */
async function requireStanding(ask: Asking, key: string): Promise<void> {
  if (isOfAlias(ask.trust, key)) return;
  if ((await knownAs(ask, key)).some(({ now }) => now)) return;
  throw refused(
    `launches where ${aliasesOf(ask.trust)} stands now, and snapshot "${key}" is not there.`,
  );
}

// dataset@alias:fold; which fold it holds is for the service of snapshots to say.
function isOfAlias(trust: GithubTrust, key: string): boolean {
  const parts = aliasedParts(key);
  if (parts === null) return false;
  requireNamed(trust, parts.dataset);
  requireAlias(trust, parts.alias);
  return true;
}

/** What the key of a snapshot, an id or a digest, is to the aliases of the policy. */
async function knownAs(
  { deps, actor, trust }: Asking,
  key: string,
): Promise<{ now: boolean; ever: boolean }[]> {
  const { orm } = deps.database;
  const row = await findSnapshot(orm, { workspaceId: actor.workspaceId, key });
  if (row === undefined || row.datasetId !== trust.datasetId) return [];
  const moves = await listAliasMoves(orm, { datasetId: trust.datasetId, names: trust.aliases });
  const last = new Map(moves.map(({ name, number }) => [name, number])); // in order of numbers
  const ids = [...new Set(moves.flatMap(({ snapshots }) => Object.values(snapshots)))];
  const known = await listSnapshotNames(orm, ids);
  return moves.map(({ name, number, snapshots }) => {
    const ever = Object.values(snapshots).some((id) => known.get(id)?.digest === row.digest);
    return { ever, now: ever && last.get(name) === number };
  });
}
