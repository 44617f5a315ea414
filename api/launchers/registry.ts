// The launchers by engine, loaded when first asked for: workerd never loads one that needs node.

import type { Engine, LaunchTarget } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';
import type { Launcher } from './launcher.ts';

export type LauncherOptions = { stateDir: string };
type Make = (target: LaunchTarget, options: LauncherOptions) => Promise<Launcher>;

/** One line per engine. */
export const launchers: Partial<Record<Engine, Make>> = {
  local: async (target, options) =>
    (await import('./local.ts')).createLocalLauncher(target, options),
};

/** A function that answers the launcher of a target, made once per target. */
export function launcherRegistry(
  options: LauncherOptions,
): (target: LaunchTarget) => Promise<Launcher> {
  const made = new Map<string, Promise<Launcher>>();
  return async (target) => {
    const make = launchers[target.engine];
    if (make === undefined) {
      throw new ProblemError(
        'unprocessable',
        `Target "${target.name}" has engine "${target.engine}", which this version cannot launch on; it can: ${Object.keys(launchers).join(', ')}.`,
      );
    }
    const launcher = made.get(target.name) ?? make(target, options);
    made.set(target.name, launcher);
    return await launcher;
  };
}
