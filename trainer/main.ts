// One training job, top to bottom as in METHOD.md: snapshot, plan, draws, factors, ledger, reports.
// `train` takes time, network and signals as arguments; the last lines call it for the process.

import { pathToFileURL } from 'node:url';
import type { TrainerJob } from '../api/contract/trainer.ts';
import { resolveMirrorAxes } from './augment/augment.ts';
import { type Cases, openCases } from './batches.ts';
import { findResumePoint, fingerprintOf, type Progress, writeCheckpoint } from './checkpoint.ts';
import {
  type CaseResult,
  type Evaluation,
  evaluateCase,
  evaluationMetrics,
  summarizeResults,
} from './evaluate.ts';
import { createFigures, type Figures, stepMetrics } from './figures.ts';
import { checkpointOf, closeRange, finish, finishFailed } from './finish.ts';
import { createLearner, type Learner } from './learner.ts';
import { polyDecay } from './optimizer.ts';
import { type BatchSource, cacheShares, openBatches } from './prefetch/prefetch.ts';
import {
  type Clock,
  connectService,
  createReporter,
  type Reporter,
  type Service,
  systemClock,
} from './report.ts';
import { planEpoch, type Snapshot, verifySnapshot } from './sampler.ts';
import {
  classNames,
  defaultPatch,
  type Environment,
  exitCodes,
  type ResolvedSettings,
  readEnvironment,
  resolveSettings,
  TrainerError,
} from './settings.ts';
import { chooseBackend } from './tensorflow/backend.ts';

/** What a run takes from outside; `signal` aborts for a clean stop, as SIGTERM does. */
export type Surroundings = {
  environment: Environment;
  fetch: typeof fetch;
  clock: Clock;
  signal: AbortSignal;
  say: (line: string) => void;
};

const mostSkippedInARow = 10;

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
  progress: Progress;
  evaluation: Evaluation | null;
  open: { plan: string[]; from: number; figures: Figures } | null;
  skippedInARow: number;
};

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

/** Everything before the first step; whatever is wrong with the job or its data is refused here. */
async function prepare(given: Pick<Run, 'around' | 'service' | 'reporter' | 'job'>): Promise<Run> {
  const { around, service, reporter, job } = given;
  const { environment } = around;
  const say = (line: string) => {
    around.say(line);
    reporter.log(line);
  };
  if (job.id !== environment.job) {
    const detail = `CW_JOB is ${environment.job}, but the token is for job ${job.id}`;
    throw new TrainerError(detail, exitCodes.configuration);
  }
  const settings = resolveSettings(job, environment.backend);
  const classes = classNames(job.labels);
  const { threads } = environment;
  const backend = await chooseBackend({ wanted: settings.backend, threads, log: say });
  const { name, ...known } = backend;
  reporter.add({ environment: { backend: name, ...known } });
  say(`job ${job.id}, attempt ${job.attempt}, backend ${name}`);
  const snapshot = await fetchSnapshot(service, job.snapshot.digest);
  say(`snapshot ${snapshot.digest}: ${snapshot.ids.length} cases, digest and sums verified`);
  const lines = await service.readCases();
  const channelCount = Object.keys(job.channels).length;
  const classCount = classes.length;
  const { dataPath } = environment;
  const { cacheBytes, workerCacheBytes } = cacheShares(settings.prefetch);
  const cases = openCases({ lines, dataPath, channelCount, classCount, cacheBytes });
  cases.mustHave(snapshot.ids);
  await cases.checkFiles((done, count) => {
    if (done % 100 === 0 || done === count) say(`${done} of ${count} files have their SHA-256`);
    return breathe(given);
  });
  const { features } = settings;
  const patch = settings.patch ?? defaultPatch(await cases.trainingShapes(50), features.length);
  const size = { patch, channelCount, classCount };
  const learner = createLearner({ ...size, features, seed: job.seed, backend: name });
  say(`${learner.parameterCount} parameters, patch ${patch.join(' x ')}`);
  const fingerprint = fingerprintOf({ ...settings, ...size, seed: job.seed });
  const progress = startOfRun(job, fingerprint);
  const mirrorAxes = resolveMirrorAxes(settings.mirrorAxes, { labels: classes, say });
  const patches = { ...settings, patch, mirrorAxes };
  const ahead = { seed: job.seed, cacheBytes: workerCacheBytes };
  const batches = openBatches({ ...settings, ...ahead, cases, settings: patches });
  const fresh = { evaluation: null, open: null, skippedInARow: 0 };
  return {
    ...given,
    say,
    settings,
    classes,
    cases,
    batches,
    learner,
    snapshot,
    progress,
    ...fresh,
  };
}

async function fetchSnapshot(service: Service, digest: string): Promise<Snapshot> {
  return verifySnapshot(await service.readSnapshot(digest), digest);
}

/** Continues from this job's checkpoint, if one is there. */
async function resume(run: Run): Promise<void> {
  const checkpoint = await findResumePoint(run.around.environment.outPath, run.progress, run.say);
  if (!checkpoint) return;
  run.learner.load(checkpoint);
  run.progress = checkpoint.progress;
  const { epoch, drawsDone, step, snapshot } = run.progress;
  if (snapshot !== run.snapshot.digest) run.snapshot = await fetchSnapshot(run.service, snapshot);
  run.say(`continues at epoch ${epoch}, draw ${drawsDone}, step ${step}`);
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
  if (snapshot && snapshot.digest !== run.snapshot.digest) progress.nextSnapshot = snapshot;
  if (improved) await writeCheckpoint(outPath, 'best', checkpointOf(run));
  if (last || progress.epoch % settings.checkpointEvery === 0) {
    await writeCheckpoint(outPath, 'latest', checkpointOf(run));
  }
}

/** Takes up the child snapshot that an earlier answer announced, from its epoch on. */
async function switchSnapshot(run: Run): Promise<void> {
  const { progress } = run;
  const next = progress.nextSnapshot;
  if (!next || progress.epoch < next.fromEpoch || progress.drawsDone > 0) return;
  run.snapshot = await fetchSnapshot(run.service, next.digest);
  run.cases.mustHave(run.snapshot.ids);
  run.say(`epoch ${progress.epoch}: snapshot ${progress.snapshot} -> ${next.digest}`);
  progress.snapshot = next.digest;
  progress.nextSnapshot = null;
}

/** Uniform, whole volumes, unweighted. */
async function validate(run: Run): Promise<Evaluation> {
  const { cases, learner, progress, reporter, classes } = run;
  const results: CaseResult[] = [];
  for (const line of cases.validation) {
    await breathe(run);
    results.push(await evaluateCase(await cases.load(line.id), line, learner));
  }
  const evaluation = summarizeResults(results, classes);
  const epoch = Math.max(0, progress.epoch - 1);
  reporter.add({ metrics: evaluationMetrics(evaluation, { step: progress.step, epoch }) });
  run.say(`epoch ${epoch}: Dice ${JSON.stringify(evaluation.dice)}`);
  return evaluation;
}

/** Lets timers and the network have their turn, then stops the run if anybody asked for it. */
async function breathe({ around, reporter }: Pick<Run, 'around' | 'reporter'>): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  const failure = reporter.failure();
  if (failure) throw failure;
  if (around.signal.aborted) throw new TrainerError('stopped by SIGTERM', exitCodes.stopped);
  if (reporter.stopAsked()) throw new TrainerError('stopped on request', exitCodes.stopped);
}

function startOfRun({ id, seed, snapshot }: TrainerJob, fingerprint: string): Progress {
  const start = { epoch: 0, drawsDone: 0, step: 0, seconds: 0, snapshot: snapshot.digest };
  return { job: id, seed, fingerprint, ...start, nextSnapshot: null, ledger: null, best: null };
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
