// Which snapshot an epoch is drawn by. The service plans it: with the job all that it has decided,
// with the answer to an epoch's last report what comes next. A run switches between epochs only.

import type { Service } from './report.ts';
import type { Run, Switch } from './run.ts';
import { type Snapshot, verifySnapshot } from './sampler.ts';

/** The plan with a switch that the service named; of two for one epoch the later word holds. */
export function withSwitch(planned: Switch[], { digest, fromEpoch }: Switch): Switch[] {
  const others = planned.filter((one) => one.fromEpoch !== fromEpoch);
  return [...others, { digest, fromEpoch }].sort((a, b) => a.fromEpoch - b.fromEpoch);
}

/** Digest of the snapshot that the plan names for an epoch; null where it names none. */
export function plannedDigest(planned: Switch[], epoch: number): string | null {
  return planned.findLast(({ fromEpoch }) => fromEpoch <= epoch)?.digest ?? null;
}

/** A snapshot of the service, its sums and digest checked. */
export async function fetchSnapshot(service: Service, digest: string): Promise<Snapshot> {
  return verifySnapshot(await service.readSnapshot(digest), digest);
}

/**
 * Takes up what the plan names for the epoch that begins. An epoch that was begun before a stop is
 * ended by the snapshot that it began with.
 */
export async function switchSnapshot(run: Run): Promise<void> {
  const { progress } = run;
  if (progress.drawsDone > 0) return;
  const digest = plannedDigest(run.planned, progress.epoch) ?? progress.snapshot;
  const { nextSnapshot } = progress;
  if (nextSnapshot && nextSnapshot.fromEpoch <= progress.epoch) progress.nextSnapshot = null;
  if (digest === progress.snapshot) return;
  run.snapshot = await fetchSnapshot(run.service, digest);
  run.cases.mustHave(run.snapshot.ids);
  run.say(`epoch ${progress.epoch}: snapshot ${progress.snapshot} -> ${digest}`);
  progress.snapshot = digest;
}
