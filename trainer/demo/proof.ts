// The last links of the chain, checked by the demo itself: the streamed snapshot against its
// digest, and every epoch that the trainer reported against the plan replayed from that stream.

import type { Client } from '../client.ts';
import { readSnapshotFile, snapshotFault } from '../commands/exports.ts';
import { exportSnapshot } from '../commands/snapshot.ts';
import { verifyLedger } from '../commands/verify.ts';
import type { Job } from '../commands/watch.ts';

/** What does not hold of a job's draws, as sentences; empty where everything does. */
export async function replayOffline(
  client: Client,
  { job, digest, file }: { job: Job; digest: string; file: string },
): Promise<{ replayed: number; faults: string[] }> {
  await exportSnapshot(client, digest, file);
  const document = readSnapshotFile(file);
  const fault = document.digest === digest ? snapshotFault(document) : 'it is another snapshot';
  if (fault !== null) return { replayed: 0, faults: [`the streamed snapshot: ${fault}`] };
  return await verifyLedger(client, job, [document]);
}
