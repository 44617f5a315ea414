// Round after round, until a signal. A service that is away is waited for: jobs run on without it.

import type { Finding } from '../../api/contract/targets.ts';
import { exitCodes, type Failure } from '../client.ts';
import { type Agent, playRound } from './round.ts';

export type LoopOptions = {
  once: boolean;
  /** Aborted: one more round that launches nothing, then the end. */
  signal: AbortSignal;
  now: () => number;
  random: () => number;
  sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
};

const checkEveryMs = 300_000;
const firstLeaseSeconds = 90;

/**
 * Runs an agent; ends after the last round. Throws where the service refuses the agent itself, and
 * with `once` also where it does not answer.
 */
export async function runAgent(agent: Agent, options: LoopOptions): Promise<void> {
  const { once, signal, now, sleep } = options;
  let leaseSeconds = firstLeaseSeconds;
  let failures = 0;
  let checkedAt = -Infinity;
  for (;;) {
    const last = signal.aborted;
    const isDue = !last && now() - checkedAt >= checkEveryMs;
    try {
      const findings = isDue ? await findingsOf(agent) : undefined;
      ({ leaseSeconds } = await playRound(agent, { findings, last }));
      if (isDue) checkedAt = now();
      if (failures > 0) agent.tell({ event: 'the service answers again' });
      failures = 0;
    } catch (cause) {
      if (once || isFinal(cause)) throw cause;
      failures += 1;
      const detail = (cause as Error).message;
      if (failures === 1) agent.tell({ event: 'waiting for the service; jobs run on', detail });
    }
    if (once || last) return;
    await sleep(pauseMs(agent, { leaseSeconds, failures, random: options.random }), signal);
  }
}

const passing = [408, 425, 429];

// A refusal of the claim itself: another round would be refused too.
function isFinal(cause: unknown): boolean {
  const { exitCode, problem } = cause as Failure;
  return exitCode === exitCodes.refused && !passing.includes(problem?.status ?? 0);
}

async function findingsOf({ launcher }: Agent): Promise<Finding[]> {
  try {
    const findings = await launcher.check();
    return findings
      .filter(({ detail }) => detail !== '')
      .slice(0, 100)
      .map(({ severity, detail }) => ({ severity, detail: detail.slice(0, 2_000) }));
  } catch (cause) {
    const detail = `its check failed: ${(cause as Error).message}`.slice(0, 2_000);
    return [{ severity: 'error', detail }];
  }
}

/** The engine's own pace, at most a third of the lease; longer and longer while nobody answers. */
function pauseMs(
  { target, launcher }: Agent,
  {
    leaseSeconds,
    failures,
    random,
  }: { leaseSeconds: number; failures: number; random: () => number },
): number {
  const longest = leaseSeconds / 3;
  const seconds =
    failures === 0
      ? Math.max(1, target.pollSeconds ?? launcher.pollSeconds)
      : 2 ** Math.min(failures - 1, 10);
  const spread = failures === 0 ? 0.9 + random() / 10 : 0.5 + random() / 2;
  return Math.min(longest, seconds) * spread * 1000;
}
