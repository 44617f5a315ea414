// What a launcher is: one engine behind seven functions. What an engine cannot do, `prepare`
// refuses with a reason; there are no optional methods to probe for.

import { outputCharacters } from '../contract/agents.ts';
import type { Resources, TrainerKind } from '../contract/settings.ts';
import type { Engine, Finding, LaunchTarget } from '../contract/targets.ts';
import { ProblemError, type ProblemKind } from '../errors.ts';

/** Everything an engine must know of one attempt. */
export type LaunchSpec = {
  /** `cw-<jobId>-<attempt>`: the same attempt has the same key on every engine, for good. */
  launchKey: string;
  jobId: string;
  image: string | null;
  /** Which trainer the job is for; an image holds only one. */
  trainer: TrainerKind;
  /** Address by which the trainer reaches the service. */
  api: string;
  /** Name of the dataset, and the folder of its images on the engine's machines. */
  dataset: string;
  dataPath: string;
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
  reason?: 'outOfMemory' | 'infrastructure' | 'external' | 'config';
  exit?: { code: number | null; signal: string | null };
  /** The last lines of an ended trainer's output, where the engine keeps them. */
  output?: string;
};

/** As much of the end of an output as is kept of it. */
export function endOfOutput(text: string): string {
  // The cut may halve a surrogate pair, which no database holds.
  return text.slice(-outputCharacters).replace(/^[\udc00-\udfff]/, '');
}

export interface Launcher {
  readonly engine: Engine;
  /** Seconds between two polls where nothing is due; `pollSeconds` of the target goes before. */
  readonly pollSeconds: number;
  /** The native request; pure. Throws ProblemError `unprocessable` for what it cannot do. */
  prepare(spec: LaunchSpec): LaunchRequest;
  /** What is wrong with the target, in plain words. Never throws for what it can tell. */
  check(): Promise<Finding[]>;
  /**
   * Starts the attempt. Throws ProblemError `conflict` where the key was launched before,
   * `unprocessable` where the engine will never take it, and `unavailable` or `launcher-failed`
   * where it may have launched or may take it later: then `find` is asked before the next try.
   */
  submit(request: LaunchRequest, token: string): Promise<Handle>;
  /** The launch of a key, or null where the engine knows of none. */
  find(launchKey: string): Promise<Handle | null>;
  /** One observation per handle; a throw means that the engine could not be asked. */
  poll(handles: Handle[]): Promise<Map<string, Observation>>;
  cancel(handle: Handle, graceSeconds: number): Promise<'accepted' | 'alreadyDone' | 'gone'>;
  /** Removes what an ended attempt left on the engine: containers, secrets. May be repeated. */
  cleanup(handle: Handle): Promise<void>;
}

/** What a launcher is given besides its target. */
export type LauncherOptions = {
  /** Folder for what a launcher on this machine has to remember. */
  stateDir: string;
  /** The secret that `credentials` names, read anew; null where the target names none. */
  credential: () => Promise<string | null>;
};

/** A problem of these kinds is the engine's last word; any other is a doubt, and asked again. */
const refusals: readonly ProblemKind[] = [
  'invalid-request',
  'unauthenticated',
  'forbidden',
  'not-found',
  'conflict',
  'too-large',
  'unprocessable',
];

/** Whether an engine will never take a launch. */
export function isRefusal(cause: unknown): cause is ProblemError {
  return cause instanceof ProblemError && refusals.includes(cause.kind);
}

/** Submits; where the key was launched before, that launch is the answer. */
export async function submitOrAdopt(
  launcher: Launcher,
  request: LaunchRequest,
  token: string,
): Promise<Handle> {
  try {
    return await launcher.submit(request, token);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.kind !== 'conflict') throw error;
    const known = await launcher.find(request.launchKey);
    if (known === null) throw error;
    return known;
  }
}
