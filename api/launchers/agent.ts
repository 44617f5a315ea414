// A target behind a firewall, on which agents launch. The service asks no engine there: what is
// prepared is what an agent will be told, and nothing else of a launcher is ever called.

import { z } from 'zod';
import type { LaunchTarget } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';
import { requireGpus } from './gpus.ts';
import type { Launcher, LaunchRequest, LaunchSpec } from './launcher.ts';
import { ownFields, targetProblem } from './target-fields.ts';

const fieldsSchema = z.strictObject({});

export function createAgentLauncher(target: LaunchTarget): Launcher {
  ownFields(target, fieldsSchema);
  for (const field of ['address', 'credentials', 'outputPath', 'pollSeconds'] as const) {
    if (target[field] !== undefined) throw targetProblem(target, field, itsAgents);
  }
  if (Object.keys(target.environment).length > 0) {
    throw targetProblem(target, 'environment', itsAgents);
  }
  const notHere = async () => {
    const sentence = `Target "${target.name}" is launched on by its agents; the service reaches no engine there.`;
    throw new ProblemError('launcher-failed', sentence);
  };
  return {
    engine: 'agent',
    pollSeconds: 5,
    prepare,
    check: notHere,
    submit: notHere,
    find: notHere,
    poll: notHere,
    cancel: notHere,
    cleanup: notHere,
  };
}

const itsAgents = 'is for the CW_TARGETS of its agents; the service does not use it';

function prepare(spec: LaunchSpec): LaunchRequest {
  requireGpus(spec);
  const { launchKey, jobId: job, image, trainer, api, dataset, resources } = spec;
  return { launchKey, job, image, trainer, api, dataset, resources };
}
