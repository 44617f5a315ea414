// The launchers of engines that are reached over HTTP, or by agents: they run in workerd as on
// Node.

import type { Engine, LaunchTarget } from '../contract/targets.ts';
import { type ReadCredential, secretOf } from './credentials.ts';
import type { Launcher, LauncherOptions } from './launcher.ts';
import { targetProblem } from './target-fields.ts';

export type Make = (target: LaunchTarget, options: LauncherOptions) => Promise<Launcher>;

/** Engines that are this machine's own: a Worker has none. */
type OfMachine = 'local' | 'docker';

/** One line per engine. */
export const launchersOverHttp: Record<Exclude<Engine, OfMachine>, Make> = {
  'aws-batch': async (target, options) =>
    (await import('./aws-batch/aws-batch.ts')).createAwsBatchLauncher(target, options),
  kubernetes: async (target, options) =>
    (await import('./kubernetes/kubernetes.ts')).createKubernetesLauncher(target, options),
  slurm: async (target, options) =>
    (await import('./slurm/slurm.ts')).createSlurmLauncher(target, options),
  agent: async (target) => (await import('./agent.ts')).createAgentLauncher(target),
};

/** A function that answers the launcher of a target, made once per target. */
export function madeOnce(
  make: Make,
  { stateDir, readCredential }: { stateDir: string; readCredential: ReadCredential },
): (target: LaunchTarget) => Promise<Launcher> {
  const made = new Map<string, Promise<Launcher>>();
  return async (target) => {
    const credential = async () =>
      target.credentials === undefined ? null : await secretOf(target, readCredential);
    const launcher = made.get(target.name) ?? make(target, { stateDir, credential });
    made.set(target.name, launcher);
    return await launcher;
  };
}

/**
 * The same where there is no machine, as in workerd: secrets are bindings. It throws
 * `launcher-failed` for what needs a machine, and says what to do instead.
 */
export function edgeLauncherRegistry(
  bindings: Record<string, unknown>,
): (target: LaunchTarget) => Promise<Launcher> {
  const make: Make = async (target, options) => {
    const { engine, credentials } = target;
    if (engine === 'local' || engine === 'docker') {
      const instead =
        'run the service on Node for it, or make it "agent", with an agent on that machine';
      throw targetProblem(target, 'engine', `"${engine}" needs a machine; ${instead}`);
    }
    if (credentials !== undefined && 'file' in credentials) {
      const instead = 'keep the secret in a binding of the Worker and name that: {"env": "NAME"}';
      throw targetProblem(target, 'credentials', `there are no files here; ${instead}`);
    }
    return await launchersOverHttp[engine](target, options);
  };
  const readCredential: ReadCredential = async (where) => {
    const value = 'env' in where ? bindings[where.env] : undefined;
    if (typeof value !== 'string') throw new Error('no binding of text has this name');
    return value;
  };
  return madeOnce(make, { stateDir: '', readCredential });
}
