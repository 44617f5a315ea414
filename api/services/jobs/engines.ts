// What the engine of a target says of its attempts, asked in one go and no more often than is due.

import type { LaunchTarget } from '../../contract/targets.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import type { Launcher, Observation } from '../../launchers/launcher.ts';
import { listAgents } from '../../store/agents.ts';
import type { AttemptRow, JobAttempt } from '../../store/attempts.ts';
import { observationByAgent, silentBefore } from './agent-leases.ts';

/** `launcher` is null where the target is no longer configured, or its launcher cannot be had. */
export type Engine = {
  launcher: Launcher | null;
  /** Null where the engine was not asked this time. */
  observationOf: ((launchKey: string) => Observation) | null;
  /** Set where agents launch: why an attempt that none has waits; undefined: one will come. */
  waitsFor?: (one: JobAttempt) => string | undefined;
};

/** An engine whose word an attempt waits for is asked this often, whatever its target says. */
const eagerSeconds = 2;

// Per process: another process, or workerd's next tick, may ask once more.
const askedAt = new WeakMap<object, Map<string, number>>();

/** Its jobs are missing from then on, and lost when their trainers stay silent. */
export function withoutTarget(name: string): Engine {
  const detail = `target "${name}" is no longer configured`;
  return { launcher: null, observationOf: () => ({ state: 'notFound', detail }) };
}

/** The engine of a target on which agents launch: its word is what they told last. */
async function engineByAgents(
  deps: Deps,
  { name }: LaunchTarget,
  attempts: JobAttempt[],
): Promise<Engine> {
  const now = deps.now();
  const byKey = new Map(attempts.map(({ attempt }) => [attempt.launchKey, attempt]));
  const waits = attempts.some(({ attempt }) => attempt.agent === null && attempt.endedAt === null);
  const agents = waits ? await listAgents(deps.database.orm, { target: name }) : [];
  return {
    launcher: null,
    observationOf: (launchKey) => observationByAgent(byKey.get(launchKey) as AttemptRow, now),
    waitsFor: ({ job, attempt }) => {
      if (attempt.agent !== null) return undefined;
      const last = agents.find(({ workspaceId }) => workspaceId === job.workspaceId);
      if (last !== undefined && last.seenAt >= silentBefore(now)) return undefined;
      return agentIsMissing(name, last?.seenAt);
    },
  };
}

/** No agent of a target is there to launch: what to do. */
export function agentIsMissing(target: string, lastSeenAt: Date | undefined): string {
  const heard =
    lastSeenAt === undefined ? 'was ever heard' : `was heard since ${lastSeenAt.toISOString()}`;
  return `no agent of target "${target}" ${heard}; on a machine beside its engine run: counterweight agent --target ${target}`;
}

/** Asks the engine of a target about attempts, where that is due. */
export async function askedEngine(
  deps: Deps,
  target: LaunchTarget,
  { attempts, eager }: { attempts: JobAttempt[]; eager: boolean },
): Promise<Engine> {
  if (target.engine === 'agent') return await engineByAgents(deps, target, attempts);
  let launcher: Launcher | null = null;
  const handles = attempts.map(({ attempt }) => attempt.handle).filter((one) => one !== null);
  try {
    launcher = await deps.launcherOf(target);
    if (!isDue(deps, target, { launcher, eager })) return { launcher, observationOf: null };
    const told = handles.length === 0 ? new Map() : await launcher.poll(handles);
    return { launcher, observationOf: (launchKey) => told.get(launchKey) ?? { state: 'unknown' } };
  } catch (cause) {
    if (attempts.some(({ attempt }) => attempt.observation?.state !== 'unknown')) {
      deps.log('warn', `target "${target.name}" could not be asked`, { cause });
    }
    const unknown: Observation = { state: 'unknown', detail: doubtDetail(cause) };
    return { launcher, observationOf: () => unknown };
  }
}

function isDue(
  deps: Deps,
  target: LaunchTarget,
  { launcher, eager }: { launcher: Launcher; eager: boolean },
): boolean {
  const usual = target.pollSeconds ?? launcher.pollSeconds;
  const seconds = eager ? Math.min(usual, eagerSeconds) : usual;
  const times = askedAt.get(deps.process) ?? new Map<string, number>();
  askedAt.set(deps.process, times);
  const now = deps.now().getTime();
  const last = times.get(target.name);
  // A tick comes a little late or early: a tenth of the interval is not worth another round.
  if (last !== undefined && now >= last && now - last < seconds * 900) return false;
  times.set(target.name, now);
  return true;
}

/** Why an engine could not be asked, in words that may be shown; undefined where none are known. */
export function doubtDetail(cause: unknown): string | undefined {
  return cause instanceof ProblemError ? cause.detail : undefined;
}
