// One training job, top to bottom as in METHOD.md: snapshot, plan, draws, factors, ledger, reports.
// `train` takes time, network and signals as arguments; the last lines call it for the process.

import { pathToFileURL } from 'node:url';
import { writeCheckpoint } from './checkpoint.ts';
import {
  type CaseResult,
  type Evaluation,
  evaluationMetrics,
  summarizeResults,
} from './evaluate.ts';
import { createFigures, stepMetrics } from './figures.ts';
import { checkpointOf, closeRange, finish, finishFailed } from './finish.ts';
import { polyDecay } from './optimizer.ts';
import { prepare, resume } from './prepare.ts';
import { connectService, createReporter, type Reporter, systemClock } from './report.ts';
import { breathe, type Run, type Surroundings } from './run.ts';
import { planEpoch } from './sampler.ts';
import { exitCodes, readEnvironment, TrainerError } from './settings.ts';
import { switchSnapshot, withSwitch } from './switches.ts';
import { evaluateCase } from './task-figures.ts';

const mostSkippedInARow = 10;

/** Trains one job from its start, or its checkpoint, to its end; answers the exit code. */
export async function train(around: Surroundings): Promise<number> {
  const { environment, clock } = around;
  const service = connectService({ ...around, ...environment });
  let reporter: Reporter | null = null;
  let run: Run | null = null;
  try {
    const job = await service.readJob();
    const { attempt, nextSequence = 0 } = job;
    const { outPath } = environment;
    reporter = createReporter({ service, clock, outPath, attempt, nextSequence });
    run = await prepare({ around, service, reporter, job });
    await resume(run);
    while (run.progress.epoch < run.settings.epochs) await trainEpoch(run);
    run.evaluation ??= await validate(run);
    await finish(run);
    return exitCodes.done;
  } catch (error) {
    return await finishFailed({ around, service, reporter, run, error });
  } finally {
    reporter?.close();
    run?.learner.dispose();
    await run?.batches.close();
  }
}

/** One epoch: plan, batches, factors; then validation, the awaited report, and a checkpoint. */
async function trainEpoch(run: Run): Promise<void> {
  const { job, settings, progress, learner, cases, reporter } = run;
  const { seed } = job;
  const { epoch } = progress;
  const { batchSize, drawsPerEpoch } = settings;
  const { now } = run.around.clock;
  await switchSnapshot(run);
  const plan = planEpoch(run.snapshot, { seed, epoch, drawsPerEpoch });
  const figures = createFigures(cases.scoreDecile);
  run.open = { plan, from: progress.drawsDone, figures };
  const batches = run.batches.ofEpoch({ plan, from: progress.drawsDone, epoch });
  while (progress.drawsDone < drawsPerEpoch) {
    await breathe(run);
    const startedAt = now();
    const position = progress.drawsDone;
    const ids = plan.slice(position, position + batchSize);
    const batch = await batches.next();
    const waitSeconds = (now() - startedAt) / 1000;
    const lossFactors = ids.map(run.snapshot.lossFactorOf);
    const learningRate = polyDecay(settings.learningRate, progress.step, settings.steps);
    const result = learner.step({ ...batch, lossFactors, learningRate });
    const seconds = (now() - startedAt) / 1000;
    progress.drawsDone += ids.length;
    progress.step += 1;
    progress.seconds += seconds;
    const { step } = progress;
    figures.add({ ...result, ids, learningRate, seconds, waitSeconds });
    const metrics = stepMetrics(result, { step, epoch });
    reporter.add({ metrics, progress: { step, steps: settings.steps } });
    run.skippedInARow = result.skipped ? run.skippedInARow + 1 : 0;
    if (run.skippedInARow >= mostSkippedInARow) {
      throw new TrainerError(`instability: ${mostSkippedInARow} steps in a row were not finite`);
    }
  }
  await endEpoch(run, epoch);
}

async function endEpoch(run: Run, epoch: number): Promise<void> {
  const { settings, progress, reporter } = run;
  const { outPath } = run.around.environment;
  closeRange(run);
  progress.epoch = epoch + 1;
  progress.drawsDone = 0;
  const last = progress.epoch === settings.epochs;
  let improved = false;
  if (last || progress.epoch % settings.validateEvery === 0) {
    run.evaluation = await validate(run);
    const diceMean = run.evaluation.dice.mean ?? 0;
    improved = diceMean > (progress.best?.diceMean ?? -1);
    if (improved) progress.best = { diceMean, epoch };
  }
  const { snapshot } = await reporter.flush();
  if (snapshot) {
    run.planned = withSwitch(run.planned, snapshot);
    progress.nextSnapshot = { digest: snapshot.digest, fromEpoch: snapshot.fromEpoch };
  }
  if (improved) await writeCheckpoint(outPath, 'best', checkpointOf(run));
  if (last || progress.epoch % settings.checkpointEvery === 0) {
    await writeCheckpoint(outPath, 'latest', checkpointOf(run));
  }
}

/** Uniform, whole volumes, unweighted. */
async function validate(run: Run): Promise<Evaluation> {
  const { cases, learner, progress, reporter, classes } = run;
  const judging = { mirrorAxes: run.inferenceMirrors, task: run.model.task };
  const results: CaseResult[] = [];
  for (const line of cases.validation) {
    await breathe(run);
    const loaded = await cases.load(line.id);
    results.push(await evaluateCase(loaded, line, learner, judging));
  }
  const evaluation = summarizeResults(results, classes);
  const epoch = Math.max(0, progress.epoch - 1);
  reporter.add({ metrics: evaluationMetrics(evaluation, { step: progress.step, epoch }) });
  run.say(`epoch ${epoch}: Dice ${JSON.stringify(evaluation.dice)}`);
  return evaluation;
}

async function main(): Promise<number> {
  const stopping = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => stopping.abort());
  const say = (line: string) => console.log(line);
  try {
    const environment = readEnvironment(process.env, process.argv.slice(2));
    const withLimit: typeof fetch = (url, init) =>
      fetch(url, { ...init, signal: AbortSignal.timeout(600_000) });
    const { signal } = stopping;
    return await train({ environment, fetch: withLimit, clock: systemClock, signal, say });
  } catch (error) {
    console.error((error as Error).message);
    return error instanceof TrainerError ? error.exitCode : exitCodes.failed;
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.exit(await main());
}
