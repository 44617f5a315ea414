// What every engine gives its tests: targets for each case, and hands on the engine itself.

import type { Rule } from './meddler.ts';

/** Targets by what is the matter with them; the same engine behind all. */
export type TargetName =
  | 'plain'
  | 'exit7'
  | 'kill9'
  | 'memory'
  | 'zombie'
  | 'deaf'
  /** One job at once. */
  | 'single'
  /** Images, partition or queue that the engine does not have. */
  | 'nowhere';

export const mischiefs = ['exit7', 'kill9', 'memory', 'zombie', 'deaf'] as const;

export type Rig = {
  targetOf: (name: TargetName) => string;
  /** How many launches of a key the engine holds or held, a double submit included. */
  launchesOf: (launchKey: string) => Promise<number>;
  /** Whether a trainer of a key runs. */
  runs: (launchKey: string) => Promise<boolean>;
  stopEngine: () => Promise<void>;
  startEngine: () => Promise<void>;
  /** The requests that launch, and rules that act on them. */
  submitRequest: RegExp;
  rules: Rule[];
  /** The engine says of a launch that its node was lost, while its trainer goes on. */
  loseNode: (launchKey: string) => Promise<void>;
  /** What the engine, or the launcher before it, says of a place that is not there. */
  nowhere: RegExp;
  /** What the service may do on the engine by; null where it needs none. */
  credential: string | null;
  /** Resources that no machine of the engine has, and what is said of them. */
  impossibleGpu: { gpus: { count: number; type?: string }; said: RegExp };
};

/** Targets of a rig: `base` is the engine's own, `nowhere` changes it to what is not there. */
export function targetsOf(
  engine: string,
  base: { environment?: object; [field: string]: unknown },
  nowhere: object,
): object[] {
  const name = (what: TargetName) => `${engine}-${what}`;
  const { environment = {} } = base;
  const mischief = (what: string) => ({
    ...environment,
    NODE_OPTIONS: '--import=/mischief.mjs',
    MISCHIEF: what,
  });
  return [
    { ...base, name: name('plain') },
    { ...base, name: name('single'), limits: { jobsAtOnce: 1 } },
    { ...base, ...nowhere, name: name('nowhere') },
    ...mischiefs.map((what) => ({ ...base, name: name(what), environment: mischief(what) })),
  ];
}
