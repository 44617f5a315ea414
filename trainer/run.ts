// What one run consists of, and the pause in which it hears that it should stop.

import type { TrainerJob } from '../api/contract/trainer.ts';
import type { MirrorAxis } from './augment/mirror.ts';
import type { Cases } from './batches.ts';
import type { Model, Progress } from './checkpoint.ts';
import type { Evaluation } from './evaluate.ts';
import type { Figures } from './figures.ts';
import type { Learner } from './learner.ts';
import type { BatchSource } from './prefetch/prefetch.ts';
import type { Clock, Reporter, Service } from './report.ts';
import type { Snapshot } from './sampler.ts';
import { type Environment, exitCodes, type ResolvedSettings, TrainerError } from './settings.ts';

/** What a run takes from outside; `signal` aborts for a clean stop, as SIGTERM does. */
export type Surroundings = {
  environment: Environment;
  fetch: typeof fetch;
  clock: Clock;
  signal: AbortSignal;
  say: (line: string) => void;
};

/** Draw by this snapshot from the start of an epoch on. */
export type Switch = { digest: string; fromEpoch: number };

/** One run, from its preparation to its end. */
export type Run = {
  around: Surroundings;
  service: Service;
  reporter: Reporter;
  say: (line: string) => void;
  job: TrainerJob;
  settings: ResolvedSettings;
  classes: string[];
  cases: Cases;
  batches: BatchSource;
  learner: Learner;
  snapshot: Snapshot;
  /** Which snapshot is drawn by from which epoch on, as the service has planned it so far. */
  planned: Switch[];
  progress: Progress;
  model: Model;
  /** Axes along which validation sees its windows mirrored, too. */
  inferenceMirrors: MirrorAxis[];
  evaluation: Evaluation | null;
  open: { plan: string[]; from: number; figures: Figures } | null;
  skippedInARow: number;
};

/** Lets timers and the network have their turn, then stops the run if anybody asked for it. */
export async function breathe({
  around,
  reporter,
}: Pick<Run, 'around' | 'reporter'>): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  const failure = reporter.failure();
  if (failure) throw failure;
  if (around.signal.aborted) throw new TrainerError('stopped by SIGTERM', exitCodes.stopped);
  if (reporter.stopAsked()) throw new TrainerError('stopped on request', exitCodes.stopped);
}
