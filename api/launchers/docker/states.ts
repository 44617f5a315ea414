// What a container's state means for an attempt: a pure function over what the engine says.

import type { Observation } from '../launcher.ts';

/** `State` of an inspected container, and its memory limit in bytes (0: none). */
export type ContainerState = {
  Status: string;
  ExitCode: number;
  OOMKilled?: boolean;
  Error?: string;
};

/** Words for what still runs or waits, by the `State` of the list of containers. */
const live: Record<string, Observation> = {
  created: { state: 'starting', detail: 'the container is made and not started yet' },
  configured: { state: 'starting', detail: 'the container is made and not started yet' },
  initialized: { state: 'starting' },
  running: { state: 'running' },
  paused: { state: 'running', detail: 'paused on the engine' },
  restarting: { state: 'running', detail: 'the engine is restarting it' },
  stopping: { state: 'running', detail: 'the engine is stopping it' },
};

/** The observation of a container that has not ended; null where it has to be inspected. */
export function liveObservation(state: string): Observation | null {
  return live[state] ?? null;
}

/** The observation of a container that has ended. */
export function endedObservation({
  ExitCode,
  OOMKilled,
  Error: error,
}: ContainerState): Observation {
  const exit = { code: ExitCode, signal: null };
  if (OOMKilled) {
    const detail = 'was killed because it used more than resources.memoryMiB';
    return { state: 'failed', reason: 'outOfMemory', detail, exit };
  }
  if (ExitCode < 0) {
    const why = error ? `: ${error}` : '';
    return { state: 'failed', reason: 'infrastructure', detail: `never started${why}` };
  }
  // 125 to 127: the engine could not run the image's command at all.
  if (error && ExitCode >= 125 && ExitCode <= 127) {
    return { state: 'failed', reason: 'config', detail: `could not be run: ${error}`, exit };
  }
  return { state: 'exited', exit };
}
