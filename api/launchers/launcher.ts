// What a launcher is: one engine behind seven functions. What an engine cannot do, `prepare`
// refuses with a reason; there are no optional methods to probe for.

import type { Resources, TrainerKind } from '../contract/settings.ts';
import type { Engine, Finding, LaunchTarget } from '../contract/targets.ts';

/** Everything an engine must know of one attempt. */
export type LaunchSpec = {
  /** `cw-<jobId>-<attempt>`: the same attempt has the same key on every engine, for good. */
  launchKey: string;
  image: string | null;
  /** Which trainer the job is for; an image holds only one. */
  trainer: TrainerKind;
  /** Environment of the trainer, without the token. */
  environment: Record<string, string>;
  resources: Resources;
  target: LaunchTarget;
};

/** What the engine is asked for, as the dry run shows it and as it is stored: without the token. */
export type LaunchRequest = { launchKey: string; [field: string]: unknown };

export type Handle = { launchKey: string; [field: string]: unknown };

export type ObservedState =
  | 'queued'
  | 'starting'
  | 'running'
  | 'exited'
  | 'failed'
  | 'timedOut'
  | 'cancelled'
  | 'notFound'
  | 'unknown';

/**
 * What the engine says of an attempt. `notFound` and `unknown` (could not ask) are never merged.
 */
export type Observation = {
  state: ObservedState;
  detail?: string;
  /** What the engine knows of why it ended, such as a kill for memory. */
  reason?: 'outOfMemory' | 'infrastructure' | 'external';
  exit?: { code: number | null; signal: string | null };
};

export interface Launcher {
  readonly engine: Engine;
  /** The native request; pure. Throws ProblemError for what the engine cannot do. */
  prepare(spec: LaunchSpec): LaunchRequest;
  check(): Promise<Finding[]>;
  /** Starts the attempt. Throws ProblemError `conflict` where the key was launched before. */
  submit(request: LaunchRequest, token: string): Promise<Handle>;
  /** The launch of a key, or null where the engine knows of none. */
  find(launchKey: string): Promise<Handle | null>;
  /** One observation per handle; a throw means that the engine could not be asked. */
  poll(handles: Handle[]): Promise<Map<string, Observation>>;
  cancel(handle: Handle, graceSeconds: number): Promise<'accepted' | 'alreadyDone' | 'gone'>;
  cleanup(handle: Handle): Promise<void>;
}
