// The launchers by engine on Node, each loaded when first asked for. Workerd has those of
// over-http.ts alone: what this file names besides needs a machine.

import type { Engine, LaunchTarget } from '../contract/targets.ts';
import type { ReadCredential } from './credentials.ts';
import type { Launcher } from './launcher.ts';
import { launchersOverHttp, type Make, madeOnce } from './over-http.ts';

/** One line per engine. */
export const launchers: Record<Engine, Make> = {
  local: async (target, options) =>
    (await import('./local/local.ts')).createLocalLauncher(target, options),
  docker: async (target) => (await import('./docker/docker.ts')).createDockerLauncher(target),
  ...launchersOverHttp,
};

/**
 * A function that answers the launcher of a target, made once per target. It throws
 * `launcher-failed` where CW_TARGETS says what the engine's launcher cannot use.
 */
export function launcherRegistry(options: {
  stateDir: string;
  readCredential: ReadCredential;
}): (target: LaunchTarget) => Promise<Launcher> {
  return madeOnce(async (target, given) => launchers[target.engine](target, given), options);
}
