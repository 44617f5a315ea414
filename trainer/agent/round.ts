// One round of an agent: claim, launch what waits, ask the engine once for all that is launched,
// tell what is new. It remembers nothing that a restart would miss.

import type {
  AgentAnswer,
  AgentReport,
  AgentWork,
  Claim,
  ClaimAnswer,
} from '../../api/contract/agents.ts';
import type { Finding } from '../../api/contract/targets.ts';
import { ProblemError } from '../../api/errors.ts';
import {
  type Handle,
  isRefusal,
  type LaunchRequest,
  type Observation,
  submitOrAdopt,
} from '../../api/launchers/launcher.ts';
import { exitCodes, type Failure } from '../client.ts';
import { type Own, requestOf } from './own-target.ts';
import { storable, told } from './words.ts';

/** What is shown of a round, for people and as JSON. */
export type AgentEvent = { event: string; launchKey?: string; detail?: string };

export type Agent = Own & {
  name: string;
  version: string;
  service: {
    /** The address by which the agent reaches it. */
    address: string;
    claim: (claim: Claim) => Promise<ClaimAnswer>;
    report: (id: string, report: AgentReport) => Promise<AgentAnswer>;
  };
  tell: (event: AgentEvent) => void;
  /** What was told of each attempt last, so that a quiet one costs no request. */
  told: Map<string, string>;
};

type Launched = { work: AgentWork; handle: Handle };

/**
 * Plays a round; answers the lease. Throws where the service does not answer, or will not have this
 * agent. The last round launches nothing.
 */
export async function playRound(
  agent: Agent,
  { findings, last = false }: { findings?: Finding[]; last?: boolean },
): Promise<{ leaseSeconds: number; held: number }> {
  const { name, version, target, service } = agent;
  const most = last ? 0 : target.limits.jobsAtOnce;
  const { leaseSeconds, attempts } = await service.claim({ agent: name, version, findings, most });
  const launched: Launched[] = [];
  for (const work of attempts) {
    if (work.handle === null && last) continue;
    const found = work.handle ?? (await guarded(agent, work, () => findOrLaunch(agent, work)));
    if (found) launched.push({ work, handle: found });
  }
  const seen = await observe(agent, launched);
  for (const one of launched) {
    await guarded(agent, one.work, () => moveOn(agent, one, seen(one.handle)));
  }
  const held = new Set(attempts.map(({ launchKey }) => launchKey));
  for (const key of agent.told.keys()) if (!held.has(key)) agent.told.delete(key);
  return { leaseSeconds, held: attempts.length };
}

// A refusal of one attempt is not its neighbours'; a service that is away, or a token that is
// refused, ends the round.
async function guarded<Result>(
  agent: Agent,
  { launchKey }: AgentWork,
  act: () => Promise<Result>,
): Promise<Result | null> {
  try {
    return await act();
  } catch (cause) {
    const { exitCode, problem, message } = cause as Failure;
    const ofToken = problem?.status === 401 || problem?.status === 403;
    if (exitCode !== exitCodes.refused || ofToken) throw cause;
    agent.tell({ event: 'not taken by the service', launchKey, detail: message });
    return null;
  }
}

/** The launch of an attempt of which the service has no handle: found, or made; null: none. */
async function findOrLaunch(agent: Agent, work: AgentWork): Promise<Handle | null> {
  const { launcher, service } = agent;
  const { id, launchKey } = work;
  let known: Handle | null;
  try {
    known = await launcher.find(launchKey);
  } catch (cause) {
    return await doubt(agent, work, cause);
  }
  if (known !== null) {
    agent.tell({ event: 'found', launchKey });
    await service.report(id, report(agent, { handle: known }));
    return known;
  }
  if (work.ended) {
    const observation = { state: 'notFound' as const };
    await service.report(id, report(agent, { observation, cleaned: true }));
    return null;
  }
  const request = await preparedOrRefused(agent, work);
  if (request === null) return null;
  // "There is no such launch": the answer has the token, unless it was given a moment ago.
  const observation = { state: 'notFound' as const };
  const { launch, ended } = await service.report(id, report(agent, { observation }));
  if (ended) agent.tell({ event: 'ended before it was launched', launchKey });
  return launch === null ? null : await submit(agent, work, { request, token: launch.token });
}

async function preparedOrRefused(agent: Agent, work: AgentWork): Promise<LaunchRequest | null> {
  try {
    return requestOf(agent, work, agent.service.address);
  } catch (cause) {
    return await refuseOrDoubt(agent, work, cause);
  }
}

async function submit(
  agent: Agent,
  work: AgentWork,
  { request, token }: { request: LaunchRequest; token: string },
): Promise<Handle | null> {
  let handle: Handle;
  try {
    handle = await submitOrAdopt(agent.launcher, request, token);
  } catch (cause) {
    return await refuseOrDoubt(agent, work, cause);
  }
  agent.tell({ event: 'launched', launchKey: work.launchKey });
  const observation = { state: 'queued' as const };
  await agent.service.report(work.id, report(agent, { handle, observation }));
  return handle;
}

const report = ({ name }: Agent, more: Omit<AgentReport, 'agent'>) => ({ agent: name, ...more });

async function refuseOrDoubt(agent: Agent, work: AgentWork, cause: unknown): Promise<null> {
  if (!isRefusal(cause)) return await doubt(agent, work, cause);
  const refused = storable(cause.detail);
  agent.tell({ event: 'refused', launchKey: work.launchKey, detail: refused });
  await agent.service.report(work.id, report(agent, { refused }));
  return null;
}

async function doubt(agent: Agent, { id, launchKey }: AgentWork, cause: unknown): Promise<null> {
  const observation = unknown(cause);
  const text = JSON.stringify(observation);
  if (agent.told.get(launchKey) !== text) {
    agent.tell({ event: 'engine gave no answer', launchKey, detail: wordsOf(cause) });
  }
  agent.told.set(launchKey, text);
  await agent.service.report(id, report(agent, { observation }));
  return null;
}

// Only what a launcher says for others to read: other errors may hold anything, and stay here.
function unknown(cause: unknown): Observation {
  const unexpected = 'its launcher failed in a way that it does not know; the agent’s log says how';
  const detail = cause instanceof ProblemError ? cause.detail : unexpected;
  return told({ state: 'unknown', detail });
}

const wordsOf = (cause: unknown) =>
  cause instanceof ProblemError ? cause.detail : String((cause as Error).stack ?? cause);

async function observe(
  agent: Agent,
  launched: Launched[],
): Promise<(handle: Handle) => Observation> {
  if (launched.length === 0) return () => ({ state: 'unknown' });
  try {
    const seen = await agent.launcher.poll(launched.map(({ handle }) => handle));
    return ({ launchKey }) => told(seen.get(launchKey) ?? { state: 'unknown' });
  } catch (cause) {
    const observation = unknown(cause);
    if (!(cause instanceof ProblemError)) agent.tell({ event: 'failed', detail: wordsOf(cause) });
    return () => observation;
  }
}

const running = ['queued', 'starting', 'running'];

async function moveOn(
  agent: Agent,
  { work, handle }: Launched,
  observation: Observation,
): Promise<void> {
  const { launchKey, stop, ended } = work;
  const runs = running.includes(observation.state);
  const stopTold = stop !== null && runs && (await cancelled(agent, handle, stop.graceSeconds));
  const mayClean = ended && !runs && observation.state !== 'unknown';
  const cleaned = mayClean && (await cleanedUp(agent, handle, observation));
  const news = {
    observation,
    ...(stopTold ? { stopTold } : {}),
    ...(cleaned ? { cleaned } : {}),
  };
  const text = JSON.stringify(news);
  if (agent.told.get(launchKey) === text) return;
  const { state, detail } = observation;
  agent.tell({ event: state, launchKey, ...(detail === undefined ? {} : { detail }) });
  const answer = await agent.service.report(work.id, report(agent, news));
  agent.told.set(launchKey, text);
  if (!answer.cleanUp || ended || runs) return;
  await moveOn(agent, { work: { ...work, ended: true, stop: answer.stop }, handle }, observation);
}

async function cancelled(agent: Agent, handle: Handle, graceSeconds: number): Promise<boolean> {
  return await tried(agent, handle, 'stopping', () => agent.launcher.cancel(handle, graceSeconds));
}

async function cleanedUp(agent: Agent, handle: Handle, { state }: Observation): Promise<boolean> {
  if (state === 'notFound') return true;
  return await tried(agent, handle, 'cleaning up', () => agent.launcher.cleanup(handle));
}

// What does not work now is tried again by the next round.
async function tried(
  agent: Agent,
  { launchKey }: Handle,
  what: string,
  act: () => Promise<unknown>,
): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (cause) {
    agent.tell({ event: `${what} failed`, launchKey, detail: wordsOf(cause) });
    return false;
  }
}
