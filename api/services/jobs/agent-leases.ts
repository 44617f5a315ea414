// What is known of an attempt by its agent: a pure reading of its row. An agent that is silent for
// longer than its lease is not believed any more, and what it was told may not have happened.

import { ProblemError } from '../../errors.ts';
import type { Observation } from '../../launchers/launcher.ts';
import type { AttemptRow } from '../../store/attempts.ts';

/** An agent asks three times in so long; silent for all of it, nothing is known. */
export const leaseSeconds = 90;
/** How long an agent may take from getting a token until its engine knows the launch. */
export const launchWithinMs = 60_000;

/** Heard before this moment, an agent is silent. */
export const silentBefore = (now: Date) => new Date(now.getTime() - leaseSeconds * 1000);

export function isHeard({ agentHeardAt }: AttemptRow, now: Date): boolean {
  return agentHeardAt !== null && agentHeardAt >= silentBefore(now);
}

/**
 * Whether an attempt may be on its agent's engine, or come to it: it was launched, its trainer has
 * spoken, or its token is with an agent that is heard or may be launching just now.
 */
export function mayBeLaunched(attempt: AttemptRow, now: Date): boolean {
  const { handle, lastContactAt, tokenDigest, submitLeaseUntil } = attempt;
  if (handle !== null || lastContactAt !== null) return true;
  if (tokenDigest === null) return false;
  return isHeard(attempt, now) || (submitLeaseUntil !== null && submitLeaseUntil >= now);
}

/** The engine's word on an attempt, as its agent told it. */
export function observationByAgent(attempt: AttemptRow, now: Date): Observation {
  const { agent, agentHeardAt, agentWord } = attempt;
  if (agent === null) return { state: 'unknown', detail: 'no agent has it' };
  if (!isHeard(attempt, now)) {
    const detail = `agent ${agent} was last heard at ${agentHeardAt?.toISOString()}`;
    return { state: 'unknown', detail };
  }
  return agentWord ?? { state: 'unknown', detail: `agent ${agent} has said nothing of it yet` };
}

const over = ['exited', 'failed', 'timedOut', 'cancelled', 'notFound'];

/** Throws `conflict` where an ended attempt may still run on its agent's engine. */
export function requireStoppedByAgent(attempt: AttemptRow, now: Date): void {
  const { agent, agentHeardAt, agentWord, cleanedAt } = attempt;
  if (cleanedAt !== null || !mayBeLaunched(attempt, now)) return;
  if (agentWord !== null && over.includes(agentWord.state)) return;
  throw new ProblemError(
    'conflict',
    `The attempt before may still run, and both would write the same checkpoints: agent ${agent}, last heard at ${agentHeardAt?.toISOString()}, has not said that it stopped. Try again in a moment; where that agent is down, start it again.`,
  );
}
