// How a run ends: done, failed, stopped or revoked. A stop leaves a checkpoint and its ledger
// behind, a revoked attempt nothing: another one may be writing already.

import type { Artifact, Summary } from '../api/contract/trainer.ts';
import { type Checkpoint, checkpointArtifact, writeCheckpoint } from './checkpoint.ts';
import type { Reporter, Service } from './report.ts';
import type { Run, Surroundings } from './run.ts';
import { ledgerRange } from './sampler.ts';
import { exitCodes, TrainerError } from './settings.ts';

/** Reports what was drawn since the open range began: ledger, case losses and figures. */
export function closeRange(run: Run): void {
  const { open, progress, reporter, snapshot } = run;
  run.open = null;
  if (!open || progress.drawsDone === open.from) return;
  const { plan, from, figures } = open;
  const draws = progress.drawsDone - from;
  progress.ledger = ledgerRange({
    epoch: progress.epoch,
    snapshot: snapshot.digest,
    plan,
    from,
    draws,
  });
  const metrics = figures.metrics({ step: progress.step, epoch: progress.epoch });
  const shown = metrics.slice(0, 4).map(({ name, value }) => `${name} ${value.toPrecision(3)}`);
  run.say(`epoch ${progress.epoch}: ${draws} draws, ${shown.join(', ')}`);
  reporter.add({
    metrics,
    caseLosses: figures.caseLosses({ epoch: progress.epoch, from }),
    ledger: [progress.ledger],
  });
}

/** Tells the service that every step was done. */
export async function finish(run: Run): Promise<void> {
  await run.reporter.flush();
  await run.service.finish({
    outcome: 'succeeded',
    summary: summaryOf(run),
    artifacts: await artifactsIn(run.around.environment.outPath),
  });
}

/** Leaves behind what can be left: on a stop also a checkpoint and the open ledger range. */
export async function finishFailed(given: {
  around: Surroundings;
  service: Service;
  reporter: Reporter | null;
  run: Run | null;
  error: unknown;
}): Promise<number> {
  const { around, service, reporter, run, error } = given;
  const known = error instanceof TrainerError ? error : null;
  const exitCode = known?.exitCode ?? exitCodes.failed;
  const sentence = (error as Error)?.message ?? String(error);
  around.say(known ? sentence : String((error as Error)?.stack ?? error));
  if (exitCode === exitCodes.revoked) return exitCode;
  const { outPath } = around.environment;
  try {
    if (run) closeRange(run);
    if (run && exitCode === exitCodes.stopped) {
      await writeCheckpoint(outPath, 'latest', checkpointOf(run));
    }
    reporter?.log(sentence);
    if (reporter && !reporter.failure()) await reporter.flush();
    await service.finish({
      outcome: 'failed',
      error: sentence.slice(0, 10_000),
      summary: run ? summaryOf(run) : {},
      artifacts: await artifactsIn(outPath),
    });
  } catch (later) {
    around.say(`the service could not be told: ${(later as Error).message}`);
    if ((later as TrainerError).exitCode === exitCodes.revoked) return exitCodes.revoked;
  }
  return exitCode;
}

function summaryOf({ evaluation, progress, learner }: Run): Summary {
  const { step: steps, seconds } = progress;
  const figures = evaluation ? { dice: evaluation.dice, groups: evaluation.groups } : {};
  return { ...figures, steps, seconds, backend: learner.backend };
}

async function artifactsIn(outPath: string): Promise<Artifact[]> {
  const names = ['latest', 'best'] as const;
  const found = await Promise.all(names.map((name) => checkpointArtifact(outPath, name)));
  return found.filter((artifact) => artifact !== null);
}

/** The run as it stands now. */
export function checkpointOf({ progress, model, learner }: Run): Checkpoint {
  return { progress: { ...progress }, model, ...learner.state() };
}
