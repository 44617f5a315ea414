// Launch targets as configured by the deployment.

import type { Finding, LaunchTarget } from '../contract/targets.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { listAgents } from '../store/agents.ts';
import { silentBefore } from './jobs/agent-leases.ts';
import { agentIsMissing } from './jobs/engines.ts';
import { gpuHoursFindings, gpuHoursOfTargets } from './jobs/gpu-hours.ts';

/** The target of a name; throws `not-found` (or `unprocessable` at a field of the body). */
export function requireTarget(deps: Deps, name: string, pointer?: string): LaunchTarget {
  const target = deps.targets.find((one) => one.name === name);
  if (target !== undefined) return target;
  const known = deps.targets.map((one) => one.name).join(', ') || 'none';
  const detail = `There is no launch target "${name}"; this deployment has: ${known}.`;
  if (pointer === undefined) throw new ProblemError('not-found', detail);
  throw new ProblemError('unprocessable', detail, {
    errors: [{ pointer, detail: 'no such target' }],
  });
}

/** What may be shown of a target: no address, no credentials, no paths. */
export function targetView({ name, engine, images, dataPaths, gpuTypes, limits }: LaunchTarget) {
  return { name, engine, images, datasets: Object.keys(dataPaths).sort(), gpuTypes, limits };
}

export async function listTargets(deps: Deps) {
  const gpuHours = await gpuHoursOfTargets(deps, deps.targets);
  return deps.targets.map((one) => ({ ...targetView(one), gpuHours: gpuHours.get(one.name) }));
}

/** Whether jobs of a target wait for an agent to claim them. */
export function waitsForAgents(deps: Deps, name: string): boolean {
  return requireTarget(deps, name).engine === 'agent';
}

export async function checkTarget(deps: Deps, actor: Actor, name: string): Promise<Finding[]> {
  const target = requireTarget(deps, name);
  const found =
    target.engine === 'agent'
      ? await agentFindings(deps, actor, name)
      : await (await deps.launcherOf(target)).check();
  return [...found, ...(await gpuHoursFindings(deps, target))];
}

/** Agents that nobody stopped properly are no finding for ever. */
const rememberedMs = 7 * 86_400_000;

// Which agents were heard when, and what each found of its own engine.
async function agentFindings(deps: Deps, actor: Actor, name: string): Promise<Finding[]> {
  const { workspaceId } = actor;
  const agents = await listAgents(deps.database.orm, { workspaceId, target: name });
  const now = deps.now();
  const isHeard = (seenAt: Date) => seenAt >= silentBefore(now);
  const missing: Finding[] = agents.some(({ seenAt }) => isHeard(seenAt))
    ? []
    : [{ severity: 'error', detail: agentIsMissing(name, agents[0]?.seenAt) }];
  const known = agents.filter(({ seenAt }) => now.getTime() - seenAt.getTime() < rememberedMs);
  const told = known.flatMap(({ name: agent, seenAt, version, findings }): Finding[] => {
    const heard = isHeard(seenAt);
    const what = `agent ${agent} (version ${version}) was last heard at ${seenAt.toISOString()}`;
    const own = findings.map(({ severity, detail }) => ({
      severity,
      detail: `agent ${agent}: ${detail}`,
    }));
    return [{ severity: heard ? 'ok' : 'warning', detail: what }, ...(heard ? own : [])];
  });
  return [...missing, ...told];
}
