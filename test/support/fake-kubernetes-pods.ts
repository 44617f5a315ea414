// The part of a cluster that acts: what makes a Job's pod, runs it (as a process of this machine,
// where a test gives it a script), ends its Job by the Job's own rules, and collects what it owned.

import { type ChildProcess, spawn } from 'node:child_process';

export type Cluster = {
  jobs: Map<string, any>;
  pods: Map<string, any>;
  secrets: Map<string, any>;
  /** JavaScript that the pod of a launch runs, by its key. */
  scripts: Map<string, string>;
  processes: Map<string, ChildProcess>;
  /** Grace of pods in milliseconds, where a test shortens it. */
  graceMs: number;
  now: () => string;
  uid: () => string;
};

/** The pod of a Job that is not suspended, waiting for its Secret. */
export function makePod(cluster: Cluster, job: any): any {
  const name = `${job.metadata.name}-${cluster.uid().slice(-5)}`;
  const { metadata, spec } = job.spec.template;
  const waiting = {
    reason: 'CreateContainerConfigError',
    message: `secret "${job.metadata.name}" not found`,
  };
  const pod = {
    metadata: {
      name,
      uid: cluster.uid(),
      namespace: job.metadata.namespace,
      creationTimestamp: cluster.now(),
      labels: { ...metadata.labels, 'job-name': job.metadata.name },
      ownerReferences: [{ kind: 'Job', name: job.metadata.name, uid: job.metadata.uid }],
    },
    spec,
    status: {
      phase: 'Pending',
      startTime: cluster.now(),
      conditions: [{ type: 'PodScheduled', status: 'True' }],
      containerStatuses: [{ name: spec.containers[0].name, state: { waiting } }],
    } as any,
  };
  cluster.pods.set(name, pod);
  job.status.active = 1;
  startPods(cluster);
  return pod;
}

const isPending = (pod: any) => pod.status.containerStatuses?.[0]?.state.waiting !== undefined;

/** Starts every pod whose Secret is there by now. */
export function startPods(cluster: Cluster): void {
  for (const pod of cluster.pods.values()) {
    const wanted = pod.spec.containers[0].envFrom[0].secretRef.name;
    const secret = cluster.secrets.get(wanted);
    if (secret === undefined || !isPending(pod) || pod.metadata.deletionTimestamp) continue;
    pod.status.phase = 'Running';
    pod.status.containerStatuses[0].state = { running: { startedAt: cluster.now() } };
    run(cluster, pod, secret);
  }
}

function run(cluster: Cluster, pod: any, secret: any): void {
  const script = cluster.scripts.get(secret.metadata.name);
  if (script === undefined) return;
  const [{ env }] = pod.spec.containers;
  const said: Record<string, string> = {};
  for (const { name, value } of env) said[name] = expanded(value, said);
  const child = spawn(process.execPath, ['-e', script], {
    env: { PATH: process.env.PATH, ...said, ...secret.stringData },
    stdio: 'ignore',
  });
  cluster.processes.set(pod.metadata.name, child);
  child.once('exit', (code, signal) => {
    cluster.processes.delete(pod.metadata.name);
    const numbers: Record<string, number> = { SIGKILL: 137, SIGTERM: 143 };
    endPod(cluster, pod, { exitCode: code ?? numbers[String(signal)] });
  });
}

/** $(NAME) is the variable of that name, where there is one before it; $$ is one $. */
function expanded(value: string, known: Record<string, string>): string {
  return value.replaceAll(/\$\$|\$\((\w+)\)/g, (whole, name) =>
    whole === '$$' ? '$' : (known[name] ?? whole),
  );
}

/**
 * Ends a pod: its Job follows its own rules, which may make another pod. `terminated` null: the
 * container never ran.
 */
export function endPod(
  cluster: Cluster,
  pod: any,
  terminated: { exitCode: number; reason?: string; message?: string; signal?: number } | null,
): void {
  const { status, metadata } = pod;
  status.phase = terminated?.exitCode === 0 ? 'Succeeded' : 'Failed';
  const state = terminated === null ? {} : { terminated };
  status.containerStatuses = [{ name: pod.spec.containers[0].name, state }];
  const [{ name, uid }] = metadata.ownerReferences;
  const job = cluster.jobs.get(name);
  if (job?.metadata.uid !== uid) {
    cluster.pods.delete(metadata.name);
    return;
  }
  job.status.active = 0;
  const rules = job.spec.podFailurePolicy?.rules ?? [];
  const { action, message } = ruleFor(rules, pod, terminated);
  if (status.phase === 'Succeeded') {
    endJob(cluster, name, { type: 'Complete' });
  } else if (action === 'FailJob') {
    endJob(cluster, name, { type: 'Failed', reason: 'PodFailurePolicy', message });
  } else {
    job.status.failed = (job.status.failed ?? 0) + (action === 'Ignore' ? 0 : 1);
    const reason = 'BackoffLimitExceeded';
    if (job.status.failed <= (job.spec.backoffLimit ?? 6)) makePod(cluster, job);
    else endJob(cluster, name, { type: 'Failed', reason, message: 'reached the backoff limit' });
  }
}

function ruleFor(
  rules: any[],
  { metadata, status }: any,
  terminated: { exitCode: number } | null,
): { action: string; message?: string } {
  const at = `${metadata.namespace}/${metadata.name}`;
  for (const [index, rule] of rules.entries()) {
    const tail = `matching ${rule.action} rule at index ${index}`;
    const met = rule.onPodConditions?.find((one: any) =>
      status.conditions.some(
        ({ type, status: held }: any) => type === one.type && held === one.status,
      ),
    );
    if (met) return { ...rule, message: `Pod ${at} has condition ${met.type} ${tail}` };
    if (rule.onExitCodes === undefined || terminated === null) continue;
    const { operator, values, containerName } = rule.onExitCodes;
    if (values.includes(terminated.exitCode) !== (operator === 'In')) continue;
    const what = `Container ${containerName} for pod ${at} failed with exit code ${terminated.exitCode}`;
    return { ...rule, message: `${what} ${tail}` };
  }
  return { action: 'Count' };
}

/** Ends a Job, with the interim condition that comes before the one that counts. */
export function endJob(
  cluster: Cluster,
  name: string,
  condition: { type: 'Complete' | 'Failed'; reason?: string; message?: string },
): void {
  const interim = condition.type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  const held = { status: 'True', lastTransitionTime: cluster.now() };
  cluster.jobs.get(name).status.conditions = [
    { ...condition, ...held, type: interim },
    { ...condition, ...held },
  ];
}

/** What follows when a Job is deleted; with Orphan, the default of Jobs: nothing at all. */
export function collect(cluster: Cluster, { uid }: { uid: string }, policy: string): void {
  const owned = (object: any) =>
    object.metadata.ownerReferences?.some((one: any) => one.uid === uid) === true;
  if (policy === 'Orphan') return;
  for (const [name, secret] of cluster.secrets) if (owned(secret)) cluster.secrets.delete(name);
  for (const pod of cluster.pods.values()) if (owned(pod)) stopPod(cluster, pod);
}

/** Tells a pod to stop: what never ran is gone at once, a process has its grace. */
export function stopPod(cluster: Cluster, pod: any): void {
  const child = cluster.processes.get(pod.metadata.name);
  if (pod.status.phase !== 'Running') {
    cluster.pods.delete(pod.metadata.name);
    return;
  }
  pod.metadata.deletionTimestamp = cluster.now();
  if (child === undefined) return;
  child.kill('SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), cluster.graceMs).unref();
}
