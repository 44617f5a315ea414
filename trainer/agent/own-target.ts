// The target on the agent's own machine: it has the service's name and, where the service says
// "agent", the real engine, its credentials and its folders.

import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { AgentWork } from '../../api/contract/agents.ts';
import type { LaunchTarget } from '../../api/contract/targets.ts';
import { readTargets } from '../../api/env.ts';
import { ProblemError } from '../../api/errors.ts';
import type { ReadCredential } from '../../api/launchers/credentials.ts';
import type { Launcher, LaunchRequest } from '../../api/launchers/launcher.ts';
import { isLoopback } from '../../api/launchers/loopback.ts';
import { launcherRegistry } from '../../api/launchers/registry.ts';
import { exitCodes, failure } from '../client.ts';

export type Own = { target: LaunchTarget; launcher: Launcher };

/** Read anew for each use: files of secrets rotate. */
function credentialReader(env: Record<string, string | undefined>): ReadCredential {
  return async (where) => {
    if ('file' in where) return await readFile(where.file, 'utf8');
    const value = env[where.env];
    if (value === undefined) throw new Error(`the variable ${where.env} is not set`);
    return value;
  };
}

/** The target of a name and its launcher; a usage failure that says what is wrong with it. */
export async function ownTarget(
  env: Record<string, string | undefined>,
  name: string,
): Promise<Own> {
  const target = requireTarget(env.CW_TARGETS, name);
  const stateDir = resolve(env.CW_DATA_DIR ?? '.counterweight', 'launches');
  const launcherOf = launcherRegistry({ stateDir, readCredential: credentialReader(env) });
  try {
    return { target, launcher: await launcherOf(target) };
  } catch (cause) {
    if (cause instanceof ProblemError) throw failure(cause.detail, exitCodes.usage);
    throw cause;
  }
}

function requireTarget(text: string | undefined, name: string): LaunchTarget {
  const usage = (what: string) => failure(what, exitCodes.usage);
  if (!text?.trim()) {
    const what = `describe the engine in CW_TARGETS: [{"name": "${name}", "engine": "slurm", ...}]`;
    throw usage(`CW_TARGETS is not set on this machine; ${what}`);
  }
  let targets: LaunchTarget[];
  try {
    targets = readTargets(text, (path) => readFileSync(path, 'utf8'));
  } catch (cause) {
    throw usage((cause as Error).message);
  }
  const target = targets.find((one) => one.name === name);
  if (target === undefined) {
    const names = targets.map((one) => one.name).join(', ') || 'none';
    throw usage(`CW_TARGETS on this machine has no target "${name}"; it has: ${names}`);
  }
  if (target.engine === 'agent') {
    throw usage(
      `target "${name}" in CW_TARGETS on this machine needs its real engine: "agent" is what the service says of it`,
    );
  }
  if (target.limits.gpuHoursPerDay !== undefined) {
    throw usage(
      `limits.gpuHoursPerDay of target "${name}": an agent keeps no count of hours; set it in CW_TARGETS of the service`,
    );
  }
  return target;
}

/**
 * The native request for an attempt. Throws ProblemError `unprocessable` for what this machine does
 * not run: the service proposes, the agent's own target decides.
 */
export function requestOf(
  { target, launcher }: Own,
  work: AgentWork,
  reached: string,
): LaunchRequest {
  requireImage(target, work.image);
  if (!Object.hasOwn(target.dataPaths, work.dataset)) {
    const names = Object.keys(target.dataPaths).join(', ') || 'none';
    throw refused(
      target,
      `has no images of dataset "${work.dataset}" in dataPaths; it has: ${names}`,
    );
  }
  return launcher.prepare({
    launchKey: work.launchKey,
    jobId: work.job,
    image: work.image,
    trainer: work.trainer,
    api: target.api ?? addressFor(work.api, reached),
    dataset: work.dataset,
    dataPath: target.dataPaths[work.dataset],
    resources: work.resources,
    target,
  });
}

function refused({ name }: LaunchTarget, what: string): ProblemError {
  return new ProblemError('unprocessable', `Target "${name}" of the agent ${what}.`);
}

function requireImage(target: LaunchTarget, image: string | null): void {
  if (target.engine === 'local') {
    if (image !== null) throw refused(target, `runs no image, and the job asks for ${image}`);
    return;
  }
  if (image !== null && target.images.includes(image)) return;
  const has = target.images.join(', ') || 'none';
  throw refused(target, `does not allow the image ${image ?? '(none)'}; its images are: ${has}`);
}

// A service that was told no public address names its own loopback one; the address by which this
// agent reached it is worth more then.
function addressFor(told: string, reached: string): string {
  return isLoopback(told) && !isLoopback(reached) ? reached : told;
}
