// Trainers as Jobs of a Kubernetes cluster, over its API. A launch is a Job, then a Secret that
// the Job owns and that is never read again, then a mark on the Job: without it, a launch is half.

import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { type EngineAnswer, engineClient, fetchCarrier } from '../engine-http.ts';
import type { Handle, Launcher, LauncherOptions, LaunchRequest, Observation } from '../launcher.ts';
import {
  answerProblem,
  type Cluster,
  corePath,
  isMissing,
  jobsPath,
  json,
  listed,
} from './answers.ts';
import { checkCluster } from './check.ts';
import { kubernetesFields } from './fields.ts';
import {
  attemptLabels,
  container,
  type Job,
  jobManifest,
  launchedMark,
  launchKeyOf,
  secretManifest,
} from './manifest.ts';
import {
  endOf,
  isAlive,
  type JobObject,
  lacksPod,
  observationOf,
  type PodObject,
  type Seen,
} from './states.ts';

const logQuery = `container=${container}&tailLines=60&limitBytes=262144`;
const strictly = 'fieldValidation=Strict';

export function createKubernetesLauncher(
  target: LaunchTarget,
  { credential }: Pick<LauncherOptions, 'credential'>,
): Launcher {
  const { address, ...fields } = kubernetesFields(target);
  // Asked for at each request: a projected token is replaced in its file before it expires.
  const carry = fetchCarrier(address, async () => {
    const token = await credential();
    return {
      accept: 'application/json, */*',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
  });
  const cluster: Cluster = { send: engineClient(target.name, carry), target: target.name, fields };
  return {
    engine: 'kubernetes',
    pollSeconds: 15,
    prepare: (spec) => ({ launchKey: spec.launchKey, job: jobManifest(fields, spec) }),
    check: () => checkCluster(cluster, target),
    submit: (request, token) => submit(cluster, request, token),
    find: (launchKey) => find(cluster, launchKey),
    poll: (handles) => poll(cluster, handles),
    cancel: (handle) => cancel(cluster, handle),
    cleanup: async ({ launchKey, uid }) => {
      await deleteJob(cluster, launchKey, uid as string | undefined);
    },
  };
}

/** A refusal that will not change by asking again is the cluster's last word. */
function refusal(
  cluster: Cluster,
  doing: string,
  answer: EngineAnswer,
  secret?: string,
): ProblemError {
  const problem = answerProblem(cluster, doing, answer, secret);
  const isFinal =
    problem.kind === 'launcher-failed' &&
    ([400, 403, 413, 422].includes(answer.status) || answer.json?.details?.kind === 'namespaces');
  return isFinal ? new ProblemError('unprocessable', problem.detail) : problem;
}

async function submit(cluster: Cluster, request: LaunchRequest, token: string): Promise<Handle> {
  const { launchKey, job } = request as LaunchRequest & { job: Job };
  const uid = await createJob(cluster, job);
  try {
    await createSecret(cluster, secretManifest(job, uid, token), { launchKey, token });
    await markLaunched(cluster, launchKey, uid);
  } catch (error) {
    if (!(error instanceof ProblemError) || error.kind !== 'unprocessable') throw error;
    await deleteJob(cluster, launchKey, uid);
    throw error;
  }
  return { launchKey, uid };
}

async function createJob(cluster: Cluster, job: Job): Promise<string> {
  const path = `${jobsPath(cluster)}?${strictly}`;
  const body = JSON.stringify(job);
  const answer = await cluster.send({ method: 'POST', path, headers: json, body });
  if (answer.status === 201) return answer.json.metadata.uid;
  if (answer.status !== 409) throw refusal(cluster, 'create Jobs', answer);
  const { name } = job.metadata;
  throw new ProblemError('conflict', `${name} was launched before; not started twice.`);
}

async function createSecret(
  cluster: Cluster,
  secret: object,
  { launchKey, token }: { launchKey: string; token: string },
): Promise<void> {
  const path = corePath(cluster, 'secrets');
  const create = () =>
    cluster.send({
      method: 'POST',
      path: `${path}?${strictly}`,
      headers: json,
      body: JSON.stringify(secret),
    });
  let answer = await create();
  if (answer.status === 409) {
    // Of a half launch, whose Job is gone and which the cluster has not collected yet.
    const gone = await cluster.send({ method: 'DELETE', path: `${path}/${launchKey}` });
    if (gone.status >= 300 && !isMissing(gone)) throw refusal(cluster, 'delete Secrets', gone);
    answer = await create();
  }
  if (answer.status !== 201) throw refusal(cluster, 'create Secrets', answer, token);
}

async function markLaunched(cluster: Cluster, launchKey: string, uid: string): Promise<void> {
  const answer = await cluster.send({
    method: 'PATCH',
    path: `${jobsPath(cluster)}/${launchKey}`,
    headers: { 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { uid, annotations: launchedMark } }),
  });
  if (answer.status !== 200) throw refusal(cluster, 'patch Jobs', answer);
}

async function jobOf(cluster: Cluster, launchKey: string): Promise<JobObject | null> {
  const answer = await cluster.send({ method: 'GET', path: `${jobsPath(cluster)}/${launchKey}` });
  if (isMissing(answer)) return null;
  if (answer.status === 200 && answer.json?.metadata !== undefined) return answer.json;
  throw answerProblem(cluster, 'get Jobs', answer);
}

const notYet = (detail: string) => new ProblemError('unavailable', detail);

async function find(cluster: Cluster, launchKey: string): Promise<Handle | null> {
  const job = await jobOf(cluster, launchKey);
  if (job === null) {
    await requireNoPod(cluster, launchKey);
    return null;
  }
  const { labels, annotations, uid, deletionTimestamp } = job.metadata;
  const ours = attemptLabels(launchKey);
  if (Object.entries(ours).some(([key, value]) => labels?.[key] !== value)) {
    throw new ProblemError(
      'conflict',
      `Namespace "${cluster.fields.namespace}" has a Job ${launchKey} that is none of this service (its labels differ); nothing was started. Delete it, or give the target another namespace.`,
    );
  }
  if (deletionTimestamp !== undefined) throw notYet(`Job ${launchKey} is still being deleted.`);
  const isLaunched = Object.entries(launchedMark).every(
    ([key, value]) => annotations?.[key] === value,
  );
  if (isLaunched) return { launchKey, uid };
  // A crash in the middle of a launch: nobody knows whether the trainer has a token, or which.
  await deleteJob(cluster, launchKey, uid);
  if ((await jobOf(cluster, launchKey)) !== null) {
    throw notYet(`Job ${launchKey}, of a launch that was cut short, is being deleted.`);
  }
  await requireNoPod(cluster, launchKey);
  return null;
}

// The pods of a deleted Job are told to stop afterwards, and have their grace.
async function requireNoPod(cluster: Cluster, launchKey: string): Promise<void> {
  const labelSelector = Object.entries(attemptLabels(launchKey))
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const path = `${corePath(cluster, 'pods')}?${new URLSearchParams({ labelSelector })}`;
  const answer = await cluster.send({ method: 'GET', path });
  if (answer.status !== 200) throw answerProblem(cluster, 'list Pods', answer);
  const alive = (answer.json.items as PodObject[]).find(isAlive);
  if (alive !== undefined) throw notYet(`Pod ${alive.metadata.name} has yet to stop.`);
}

async function poll(cluster: Cluster, handles: Handle[]): Promise<Map<string, Observation>> {
  const jobs = new Map<string, JobObject>(
    (await listed(cluster, jobsPath(cluster))).map((job) => [job.metadata.name, job]),
  );
  const pods = new Map<string, PodObject[]>();
  for (const pod of await listed(cluster, corePath(cluster, 'pods'))) {
    const launchKey = launchKeyOf(pod.metadata.labels);
    pods.set(launchKey, [...(pods.get(launchKey) ?? []), pod]);
  }
  const now = Date.now();
  const seen = handles.map(({ launchKey, uid }): [string, Seen] => {
    const job = jobs.get(launchKey);
    const isThis = uid === undefined || job?.metadata.uid === uid;
    return [launchKey, { job: isThis ? job : undefined, pods: pods.get(launchKey) ?? [], now }];
  });
  const refusals = seen.some(([, one]) => lacksPod(one)) ? await refusalsOf(cluster) : new Map();
  const told = new Map<string, Observation>();
  for (const [launchKey, one] of seen) {
    const observation = observationOf({ ...one, refusal: refusals.get(launchKey) });
    told.set(launchKey, await withOutput(cluster, observation, one.pods));
  }
  return told;
}

// A quota or Pod Security refuses the pod, and only an event of the Job says so.
async function refusalsOf(cluster: Cluster): Promise<Map<string, string>> {
  const fieldSelector = 'involvedObject.kind=Job,reason=FailedCreate';
  const query = new URLSearchParams({ fieldSelector, limit: '500' });
  const path = `${corePath(cluster, 'events')}?${query}`;
  const answer = await cluster.send({ method: 'GET', path });
  // Words for a person only: without them the poll is still good.
  if (answer.status !== 200) return new Map();
  return new Map(
    answer.json.items.map((event: { involvedObject: { name: string }; message: string }) => [
      event.involvedObject.name,
      `the cluster refuses its pod: ${event.message}`,
    ]),
  );
}

async function withOutput(
  cluster: Cluster,
  observation: Observation,
  pods: PodObject[],
): Promise<Observation> {
  const over = ['exited', 'failed', 'timedOut'].includes(observation.state);
  const pod = over ? pods.find((one) => !isAlive(one)) : undefined;
  if (pod === undefined) return observation;
  const path = `${corePath(cluster, 'pods')}/${pod.metadata.name}/log?${logQuery}`;
  const answer = await cluster.send({ method: 'GET', path });
  return answer.status === 200 ? { ...observation, output: answer.text } : observation;
}

// How long the pod has is said in its own terminationGracePeriodSeconds; the cluster kills it then.
async function cancel(
  cluster: Cluster,
  { launchKey, uid }: Handle,
): ReturnType<Launcher['cancel']> {
  const job = await jobOf(cluster, launchKey);
  if (job === null || (uid !== undefined && job.metadata.uid !== uid)) return 'gone';
  if (endOf(job)) return 'alreadyDone';
  return (await deleteJob(cluster, launchKey, job.metadata.uid)) ? 'accepted' : 'gone';
}

/** False where there is no such Job. Background: the default of Jobs leaves their pods running. */
async function deleteJob(
  cluster: Cluster,
  launchKey: string,
  uid: string | undefined,
): Promise<boolean> {
  const options = {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    propagationPolicy: 'Background',
    ...(uid === undefined ? {} : { preconditions: { uid } }),
  };
  const answer = await cluster.send({
    method: 'DELETE',
    path: `${jobsPath(cluster)}/${launchKey}`,
    headers: json,
    body: JSON.stringify(options),
  });
  if (answer.status === 200 || answer.status === 202) return true;
  // 409: the Job of this name is another one by now.
  if (answer.status === 409 || isMissing(answer)) return false;
  throw answerProblem(cluster, 'delete Jobs', answer);
}
