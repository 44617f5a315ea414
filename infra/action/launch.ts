// The launch: one request, under a key of this step of this attempt, so that however often it is
// sent, each job is launched once.

import type { Job } from '../../api/contract/jobs.ts';
import { keyOf, type RunEvent } from './event.ts';
import type { Inputs, LaunchBody } from './inputs.ts';
import type { Service } from './service.ts';

/** A native request as the engine would get it. */
export type FoldRequest = { fold: string | null; request: Record<string, unknown> };

export type Launch = { jobs: Job[] } | { requests: FoldRequest[] };

export function bodyOf(inputs: Inputs, event: RunEvent, dryRun: boolean): LaunchBody {
  const { source, launch, reason } = inputs;
  return { ...source, ...launch, reason: reason ?? event.reason, ...(dryRun ? { dryRun } : {}) };
}

/** Launches, or asks what would be: the service's answer says which it was. */
export async function launch(
  service: Service,
  asked: { body: LaunchBody; event: RunEvent; key: string | null; signal: AbortSignal },
): Promise<Launch> {
  const { body, event, key, signal } = asked;
  const answer = await service.ask('POST /v1/jobs', {
    body,
    key: key ?? keyOf(event, body),
    signal,
  });
  if ('state' in answer) return { jobs: [answer] };
  if ('batch' in answer) return { jobs: answer.items };
  if ('request' in answer) return { requests: [{ fold: null, request: answer.request }] };
  const requests = answer.items.map(({ fold, request }) => ({ fold: String(fold), request }));
  return { requests };
}
