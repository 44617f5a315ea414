// Launch targets as configured by the deployment.

import type { LaunchTarget } from '../contract/targets.ts';
import type { Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';

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

export function listTargets(deps: Deps) {
  return deps.targets.map(targetView);
}

export async function checkTarget(deps: Deps, name: string) {
  const target = requireTarget(deps, name);
  const launcher = await deps.launcherOf(target);
  return await launcher.check();
}
