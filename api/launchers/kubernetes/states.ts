// What a Job and its pod mean for an attempt: pure functions over what the cluster says. A Job's
// condition Complete or Failed is its end; SuccessCriteriaMet and FailureTarget only announce one.

import type { Observation } from '../launcher.ts';
import { container, queueLabel } from './manifest.ts';

type Meta = {
  name: string;
  uid: string;
  creationTimestamp: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
};
type Condition = {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
};
type Told = { reason?: string; message?: string };

export type JobObject = {
  metadata: Meta;
  spec: { suspend?: boolean };
  status?: { conditions?: Condition[]; active?: number };
};
export type PodObject = {
  metadata: Meta;
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    startTime?: string;
    conditions?: Condition[];
    containerStatuses?: {
      name: string;
      state?: { running?: object; waiting?: Told; terminated?: Told & { exitCode: number } };
    }[];
  };
};

export type Seen = {
  job: JobObject | undefined;
  pods: PodObject[];
  /** What the cluster said when it could not make the pod. */
  refusal?: string;
  now: number;
};

/** A pod that has to go and is still there so long after: its node does not answer. */
const silentNodeMs = 5 * 60_000;
/** A pod that cannot start for so long keeps a node for nothing. */
const stuckMs = 15 * 60_000;
/** Kueue suspends what it took in again; before that, a Job is suspended since it was made. */
const firstSuspendedMs = 60_000;
/** A Job without a pod for so long may have been refused one. */
const podlessMs = 20_000;

const conditionOf = (of: Condition[] | undefined, type: string) =>
  of?.find((one) => one.type === type && one.status === 'True');

/** The condition that ends a Job, or undefined while it has not ended. */
export function endOf({ status }: JobObject): Condition | undefined {
  return conditionOf(status?.conditions, 'Complete') ?? conditionOf(status?.conditions, 'Failed');
}

export function isAlive({ status }: PodObject): boolean {
  return status?.phase !== 'Succeeded' && status?.phase !== 'Failed';
}

/** Whether the events of a Job have to say why it has no pod. */
export function lacksPod({ job, pods, now }: Seen): boolean {
  if (job === undefined || pods.length > 0 || job.spec.suspend || endOf(job)) return false;
  return now - Date.parse(job.metadata.creationTimestamp) >= podlessMs;
}

/** What a Job and its pods say of the attempt. */
export function observationOf(seen: Seen): Observation {
  const { job, pods, now, refusal } = seen;
  const alive = pods.find(isAlive);
  const silent = alive !== undefined && isSilent(alive, now);
  if (job === undefined) return withoutJob(alive, silent);
  if (silent) {
    const detail = `the node of pod ${alive.metadata.name} does not answer${whyOf(alive)}`;
    return { state: 'failed', reason: 'infrastructure', detail };
  }
  const end = endOf(job);
  const taken = wasTakenBack(job);
  if (alive && (end || taken)) return stopping(alive);
  if (end) return endedObservation(end, newest(pods));
  if (taken) {
    const detail = 'Kueue took its place back, as it does for jobs of a higher priority';
    return { state: 'failed', reason: 'infrastructure', detail };
  }
  if (job.metadata.deletionTimestamp) {
    return { state: 'running', detail: 'its Job is being deleted on the cluster' };
  }
  if (job.spec.suspend) return { state: 'queued', detail: suspendedDetail(job) };
  const pod = newest(pods);
  if (pod !== undefined) return podObservation(pod, now);
  const detail = refusal ?? 'the cluster has not made its pod yet';
  return { state: 'queued', detail };
}

const newest = (pods: PodObject[]): PodObject | undefined =>
  [...pods].sort((one, other) =>
    one.metadata.creationTimestamp < other.metadata.creationTimestamp ? 1 : -1,
  )[0];

function isSilent({ metadata: { deletionTimestamp } }: PodObject, now: number): boolean {
  return deletionTimestamp !== undefined && now - Date.parse(deletionTimestamp) > silentNodeMs;
}

// Deleting a Job takes its pod along, which may take the grace of the pod.
function withoutJob(alive: PodObject | undefined, silent: boolean): Observation {
  if (alive === undefined) return { state: 'notFound' };
  const { name, deletionTimestamp } = alive.metadata;
  if (silent) {
    const detail = `its Job is gone; pod ${name} is on a node that does not answer`;
    return { state: 'notFound', detail };
  }
  if (deletionTimestamp) return stopping(alive);
  const detail = `its Job is gone and pod ${name} is not told to stop; if it stays so, delete the pod`;
  return { state: 'running', detail };
}

const stopping = (pod: PodObject): Observation => ({
  state: 'running',
  detail: `is being stopped${whyOf(pod)}`,
});

// A queue may also let a Job go again before it ran; its trainer must not start twice either way.
function wasTakenBack({ spec, status, metadata }: JobObject): boolean {
  const since = conditionOf(status?.conditions, 'Suspended')?.lastTransitionTime;
  if (!spec.suspend || since === undefined || !(queueLabel in (metadata.labels ?? {})))
    return false;
  return Date.parse(since) - Date.parse(metadata.creationTimestamp) > firstSuspendedMs;
}

function suspendedDetail({ metadata: { labels = {} } }: JobObject): string {
  const queue = labels[queueLabel];
  return queue === undefined ? 'its Job is suspended' : `waits in the queue "${queue}" of Kueue`;
}

const disruptionOf = ({ status }: PodObject) => conditionOf(status?.conditions, 'DisruptionTarget');

function whyOf(pod: PodObject): string {
  const disruption = disruptionOf(pod);
  return disruption === undefined ? '' : `: ${saying(disruption)}`;
}

const saying = ({ reason, message }: Told): string =>
  [reason, message].filter(Boolean).join(': ') || 'the cluster does not say why';

const trainerOf = ({ status }: PodObject) =>
  status?.containerStatuses?.find(({ name }) => name === container)?.state;

/** Waiting for these is over only when somebody mends what they name. */
const hopeless = new Set(['InvalidImageName', 'ErrImageNeverPull']);
const quiet = new Set(['ContainerCreating', 'PodInitializing']);

function podObservation(pod: PodObject, now: number): Observation {
  const { status = {}, metadata } = pod;
  if (!isAlive(pod)) {
    return { state: 'running', detail: 'has ended; the cluster has yet to note how' };
  }
  if (metadata.deletionTimestamp) return stopping(pod);
  if (status.phase === 'Unknown') return { state: 'running', detail: 'its node does not answer' };
  const unplaced = status.conditions?.find(
    ({ type, status: held }) => type === 'PodScheduled' && held === 'False',
  );
  if (unplaced !== undefined) return { state: 'queued', detail: saying(unplaced) };
  const state = trainerOf(pod);
  if (state?.running !== undefined) return { state: 'running' };
  if (state?.terminated !== undefined) {
    return { state: 'running', detail: 'has ended; the cluster has yet to note how' };
  }
  return waitingObservation(state?.waiting, status.startTime, now);
}

// The Secret comes a moment after the pod, so CreateContainerConfigError is how a launch begins.
function waitingObservation(
  waiting: Told | undefined,
  startTime: string | undefined,
  now: number,
): Observation {
  if (waiting?.reason === undefined || quiet.has(waiting.reason)) return { state: 'starting' };
  const detail = saying(waiting);
  const stuck = startTime !== undefined && now - Date.parse(startTime) > stuckMs;
  if (!stuck && !hopeless.has(waiting.reason)) return { state: 'starting', detail };
  const sentence = `its container could not be started: ${detail}`;
  return { state: 'failed', reason: 'config', detail: sentence };
}

function endedObservation(end: Condition, pod: PodObject | undefined): Observation {
  const ended = pod === undefined ? undefined : trainerOf(pod)?.terminated;
  const exit = { code: ended?.exitCode ?? 0, signal: null };
  if (end.type === 'Complete') return { state: 'exited', exit };
  const late = [pod?.status, end].find((told) => told?.reason === 'DeadlineExceeded');
  if (late !== undefined) return { state: 'timedOut', detail: saying(late) };
  if (pod === undefined) return endWithoutPod(end);
  if (ended?.reason === 'OOMKilled') {
    const detail = 'was killed because it used more than resources.memoryMiB';
    return { state: 'failed', reason: 'outOfMemory', detail, exit };
  }
  const disruption = disruptionOf(pod);
  if (disruption !== undefined) {
    const detail = `was taken off its node: ${saying(disruption)}`;
    return { state: 'failed', reason: 'infrastructure', detail };
  }
  return failedObservation(pod, ended);
}

function failedObservation(
  { status = {}, metadata }: PodObject,
  ended: (Told & { exitCode: number }) | undefined,
): Observation {
  if (status.reason === 'Evicted') {
    // Without a disruption: for what it did itself, such as filling a volume.
    return { state: 'failed', reason: 'config', detail: `was evicted: ${status.message}` };
  }
  if (ended === undefined || ended.reason === 'ContainerStatusUnknown') {
    const detail = `its node never ran it, or lost it: ${saying(ended ?? status)}`;
    return { state: 'failed', reason: 'infrastructure', detail };
  }
  const exit = { code: ended.exitCode, signal: null };
  if (ended.reason === 'StartError' || ended.reason === 'ContainerCannotRun') {
    return { state: 'failed', reason: 'config', detail: `could not be run: ${saying(ended)}` };
  }
  if (metadata.deletionTimestamp === undefined) return { state: 'exited', exit };
  return { state: 'exited', reason: 'external', detail: 'its pod was deleted', exit };
}

// The condition keeps what the rules of the Job matched, in words of the Job controller.
function endWithoutPod(end: Condition): Observation {
  const words = saying(end);
  const code = words.match(/failed with exit code (\d+)/)?.[1];
  if (code === undefined || /condition DisruptionTarget/.test(words)) {
    const detail = `its pod is gone: ${words}`;
    return { state: 'failed', reason: 'infrastructure', detail };
  }
  const exit = { code: Number(code), signal: null };
  const killed = exit.code === 137 || exit.code === 143;
  return killed
    ? { state: 'exited', reason: 'external', detail: 'its pod was deleted', exit }
    : { state: 'exited', exit };
}
