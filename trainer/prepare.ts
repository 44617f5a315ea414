// Everything between the start of the process and the first step: what is wrong with the job, its
// snapshot or its data is refused here, and a checkpoint is taken up.

import { availableParallelism } from 'node:os';
import type { TrainingPlan } from '../api/contract/plans.ts';
import type { TrainerJob } from '../api/contract/trainer.ts';
import { resolveMirrorAxes } from './augment/augment.ts';
import { type CaseList, listCases, openCases } from './batches.ts';
import { findResumePoint, fingerprintOf, type Model, type Progress } from './checkpoint.ts';
import { labelTask, reportedNames } from './labels.ts';
import { openLearner } from './learner.ts';
import { planLines } from './planning/plan.ts';
import { planFromFiles, readPlan, writePlan } from './planning/record.ts';
import { cacheShares, openBatches } from './prefetch/prefetch.ts';
import { breathe, type Run } from './run.ts';
import { exitCodes, type ResolvedSettings, resolveSettings, TrainerError } from './settings.ts';
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
  const task = labelTask(job.labels);
  const classes = reportedNames(task);
  const { threads } = environment;
  const backend = await chooseBackend({ wanted: settings.backend, threads, log: say });
  const { name, ...known } = backend;
  reporter.add({ environment: { backend: name, ...known } });
  say(`job ${job.id}, attempt ${job.attempt}, backend ${name}`);
  const snapshot = await fetchSnapshot(service, job.snapshot.digest);
  say(`snapshot ${snapshot.digest}: ${snapshot.ids.length} cases, digest and sums verified`);
  const lines = await service.readCases();
  const channelCount = Object.keys(job.channels).length;
  const classCount = task.names.length;
  const { dataPath } = environment;
  const listed = { lines, dataPath, channelCount };
  const list = listCases(listed);
  list.mustHave(snapshot.ids);
  await list.checkFiles((done, count) => {
    if (done % 100 === 0 || done === count) say(`${done} of ${count} files have their SHA-256`);
    return breathe(given);
  });
  const plan = await planOf({ ...given, say, settings, list });
  const { cacheBytes, workerCacheBytes } = cacheShares(settings.prefetch);
  const cases = openCases({ ...listed, classCount, task, cacheBytes, plan });
  const mirrorAxes = resolveMirrorAxes(settings.mirrorAxes, { labels: task.names, say });
  const planned = { ...settings, ...plan, mirrorAxes, task };
  const { seed } = job;
  const size = { channelCount, classCount, seed };
  const cores = threads ?? availableParallelism();
  const learner = await openLearner({ ...planned, ...size, backend: name, cores });
  say(`${learner.parameterCount} parameters`);
  const progress = startOfRun(job, fingerprintOf({ ...planned, ...size }));
  const model = modelOf(job, planned);
  const ahead = { seed, cacheBytes: workerCacheBytes };
  const batches = openBatches({ ...settings, ...ahead, cases, settings: planned });
  const inferenceMirrors = settings.mirrorInference ? mirrorAxes : [];
  const fresh = { inferenceMirrors, evaluation: null, open: null, skippedInARow: 0 };
  const parts = { settings, classes, cases, batches, learner, snapshot, progress, model };
  return { ...given, say, planned: job.snapshots, ...parts, ...fresh };
}

/** The plan that an earlier attempt stored, or a new one from the training cases; said and sent. */
async function planOf(
  given: Pick<Run, 'around' | 'reporter' | 'job' | 'say' | 'settings'> & { list: CaseList },
): Promise<TrainingPlan> {
  const { around, reporter, job, say, settings, list } = given;
  const { outPath } = around.environment;
  const { labels } = job;
  const channels = Object.values(job.channels);
  const stored = readPlan(outPath, job.id, say);
  const size = { channels, labels, classes: labelTask(labels).names.length };
  const training = list.trainingFiles();
  const tell = () => breathe(given);
  const plan = stored ?? (await planFromFiles({ training, settings, ...size, tell }));
  if (stored === null) await writePlan(outPath, job.id, plan);
  else say('plan: as an earlier attempt stored it in plan.json');
  for (const line of planLines(plan, channels)) say(line);
  reporter.add({ plan });
  return plan;
}

function modelOf(
  { channels, snapshot }: TrainerJob,
  made: Pick<ResolvedSettings, 'optimizer' | 'deepSupervision'> &
    Pick<Model, 'task' | 'mirrorAxes'> &
    TrainingPlan,
): Model {
  const { task, patch, features, kernels, strides, spacing, normalization } = made;
  const { optimizer, deepSupervision, mirrorAxes } = made;
  const { dataset, datasetVersionDigest, split, fold } = snapshot.header;
  return {
    channels: Object.values(channels),
    task,
    ...{ spacing, normalization, patch, features, kernels, strides },
    ...{ deepSupervision, optimizer, mirrorAxes },
    trainedOn: { dataset, datasetVersionDigest, split, fold },
  };
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
