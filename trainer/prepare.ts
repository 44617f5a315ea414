// Everything between the start of the process and the first step: what is wrong with the job, its
// snapshot or its data is refused here, and a checkpoint is taken up.

import { availableParallelism } from 'node:os';
import type { TrainerJob } from '../api/contract/trainer.ts';
import { resolveMirrorAxes } from './augment/augment.ts';
import { type Cases, openCases } from './batches.ts';
import { findResumePoint, fingerprintOf, type Model, type Progress } from './checkpoint.ts';
import { openLearner } from './learner.ts';
import type { Size } from './nifti.ts';
import { cacheShares, openBatches } from './prefetch/prefetch.ts';
import { breathe, type Run } from './run.ts';
import {
  classNames,
  defaultPatch,
  exitCodes,
  type ResolvedSettings,
  resolveSettings,
  TrainerError,
} from './settings.ts';
import { fetchSnapshot, withSwitch } from './switches.ts';
import { chooseBackend } from './tensorflow/backend.ts';

/** Everything before the first step; whatever is wrong with the job or its data is refused here. */
export async function prepare(
  given: Pick<Run, 'around' | 'service' | 'reporter' | 'job'>,
): Promise<Run> {
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
  const patch = await patchOf(settings, cases);
  const size = { patch, channelCount, classCount };
  const cores = threads ?? availableParallelism();
  const learner = await openLearner({ ...settings, ...size, seed: job.seed, backend: name, cores });
  say(`${learner.parameterCount} parameters, patch ${patch.join(' x ')}`);
  const mirrorAxes = resolveMirrorAxes(settings.mirrorAxes, { labels: classes, say });
  const patches = { ...settings, patch, mirrorAxes };
  const fingerprint = fingerprintOf({ ...patches, ...size, seed: job.seed });
  const progress = startOfRun(job, fingerprint);
  const model = modelOf(job, { ...patches, classes });
  const ahead = { seed: job.seed, cacheBytes: workerCacheBytes };
  const batches = openBatches({ ...settings, ...ahead, cases, settings: patches });
  const inferenceMirrors = settings.mirrorInference ? mirrorAxes : [];
  const fresh = { inferenceMirrors, evaluation: null, open: null, skippedInARow: 0 };
  const parts = { settings, classes, cases, batches, learner, snapshot, progress, model };
  const planned = job.snapshots;
  return { ...given, say, planned, ...parts, ...fresh };
}

function modelOf(
  { channels, snapshot }: TrainerJob,
  made: ResolvedSettings & Pick<Model, 'classes' | 'patch' | 'mirrorAxes'>,
): Model {
  const { classes, patch, features, kernels, strides, deepSupervision } = made;
  const { optimizer, mirrorAxes } = made;
  const { dataset, datasetVersionDigest, split, fold } = snapshot.header;
  return {
    channels: Object.values(channels),
    classes,
    patch,
    features,
    kernels,
    strides,
    deepSupervision,
    optimizer,
    mirrorAxes,
    trainedOn: { dataset, datasetVersionDigest, split, fold },
  };
}

async function patchOf({ patch, features }: ResolvedSettings, cases: Cases): Promise<Size> {
  return patch ?? defaultPatch(await cases.trainingShapes(50), features.length);
}

/** Continues from this job's checkpoint, if one is there. */
export async function resume(run: Run): Promise<void> {
  const checkpoint = await findResumePoint(run.around.environment.outPath, run.progress, run.say);
  if (!checkpoint) return;
  run.learner.load(checkpoint);
  run.progress = checkpoint.progress;
  const { epoch, drawsDone, step, snapshot, nextSnapshot } = run.progress;
  if (nextSnapshot) run.planned = withSwitch(run.planned, nextSnapshot);
  if (snapshot !== run.snapshot.digest) run.snapshot = await fetchSnapshot(run.service, snapshot);
  run.say(`continues at epoch ${epoch}, draw ${drawsDone}, step ${step}`);
}

function startOfRun({ id, seed, snapshot }: TrainerJob, fingerprint: string): Progress {
  const start = { epoch: 0, drawsDone: 0, step: 0, seconds: 0, snapshot: snapshot.digest };
  return { job: id, seed, fingerprint, ...start, nextSnapshot: null, ledger: null, best: null };
}
