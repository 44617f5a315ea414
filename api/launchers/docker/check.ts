// What is wrong with a Docker target, in plain words: socket, engine, images, folders, GPUs.

import { type Stats, statSync } from 'node:fs';
import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { type EngineClient, shown } from '../engine-http.ts';

const ok = (detail: string): Finding => ({ severity: 'ok', detail });
const warning = (detail: string): Finding => ({ severity: 'warning', detail });
const error = (detail: string): Finding => ({ severity: 'error', detail });

/** Every finding; of the engine, those up to the first that keeps it from being asked. */
export async function checkEngine(send: EngineClient, target: LaunchTarget): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    await askEngine(send, target, findings);
  } catch (cause) {
    if (!(cause instanceof ProblemError)) throw cause;
    const todo = "is the engine started there, and may the service's user use the socket?";
    findings.push(error(`${cause.detail} Its socket is ${target.address}: ${todo}`));
  }
  return [...findings, ...folderFindings(target)];
}

async function askEngine(
  send: EngineClient,
  { address, images, gpuTypes }: LaunchTarget,
  findings: Finding[],
): Promise<void> {
  const { status, json, text } = await send({ method: 'GET', path: '/version' });
  if (status !== 200 || typeof json?.Version !== 'string') {
    const todo = 'is that the socket of Docker or podman?';
    findings.push(error(`${address} answered ${status} (${shown(text)}) to /version: ${todo}`));
    return;
  }
  findings.push(ok(`${json.Components?.[0]?.Name ?? 'engine'} ${json.Version}`));
  for (const image of images) findings.push(await imageFinding(send, image));
  if (gpuTypes.length > 0) findings.push(await gpuFinding(send));
}

async function imageFinding(send: EngineClient, image: string): Promise<Finding> {
  const answer = await send({ method: 'GET', path: `/images/${encodeURI(image)}/json` });
  if (answer.status === 200) return ok(`image ${image} is there`);
  if (answer.status === 404) return error(`image ${image} is not there: pull it first`);
  return error(`image ${image}: the engine said ${answer.status} ${shown(answer.text)}`);
}

async function gpuFinding(send: EngineClient): Promise<Finding> {
  const { json } = await send({ method: 'GET', path: '/info' });
  if (json?.Runtimes?.nvidia !== undefined) return ok('the NVIDIA runtime is installed');
  return warning(
    'gpuTypes are listed, but the engine has no NVIDIA runtime: install the NVIDIA container toolkit',
  );
}

// The engine is on this machine, and so are its folders; but a service that is in a container
// itself sees its own.
function folderFindings({ dataPaths, outputPath = '' }: LaunchTarget): Finding[] {
  const paths = Object.entries(dataPaths).map(([name, path]) => [`dataPaths.${name}`, path]);
  return [...paths, ['outputPath', outputPath]].map(([field, path]) => {
    const named = `folder ${path} (${field})`;
    let found: Stats | undefined;
    try {
      found = statSync(path, { throwIfNoEntry: false });
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      return warning(
        `${named} cannot be looked at by the service (${code}); the engine may see it`,
      );
    }
    if (found === undefined) {
      const hint = 'make it, or mend the target; a service in a container may not see it';
      return warning(`${named} is not there: ${hint}`);
    }
    return found.isDirectory() ? ok(`${named} is there`) : error(`${named} is no folder`);
  });
}
