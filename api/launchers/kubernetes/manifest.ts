// The objects that a launch makes, as pure functions: a Job with one pod, and the Secret with its
// token, which the Job owns. The cluster never starts a trainer twice: the service does.

import { ProblemError } from '../../errors.ts';
import { requireGpus } from '../gpus.ts';
import type { LaunchSpec } from '../launcher.ts';
import { isLoopback } from '../loopback.ts';
import { folderOf, type KubernetesFields, nodeLabelOf, volumesOf } from './fields.ts';

export const container = 'trainer';
export const managedBy = { 'app.kubernetes.io/managed-by': 'counterweight' };
/** On a Job whose Secret was made as well: its launch is complete. */
export const launchedMark = { 'cw/launched': 'true' };
export const queueLabel = 'kueue.x-k8s.io/queue-name';

/** Time that a trainer has to write a checkpoint, when it is cancelled or its node is taken. */
const graceSeconds = 60;
const keptSeconds = 86_400;

export type Labels = Record<string, string>;
export type Job = {
  apiVersion: 'batch/v1';
  kind: 'Job';
  metadata: { name: string; namespace: string; labels: Labels; annotations?: Labels };
  spec: { template: { metadata: object; spec: object }; [field: string]: unknown };
};

/** Labels that name one attempt: of its Job, its pod and its Secret. */
export function attemptLabels(launchKey: string): Labels {
  const [, job, attempt] = launchKey.match(/^cw-(.+)-(\d+)$/) ?? [];
  return { ...managedBy, 'cw/job': String(job), 'cw/attempt': String(attempt) };
}

/** The launch key that the labels of an object name. */
export function launchKeyOf(labels: Labels | undefined): string {
  return `cw-${labels?.['cw/job']}-${labels?.['cw/attempt']}`;
}

/** The Job of an attempt; throws ProblemError `unprocessable` for what cannot be asked for. */
export function jobManifest(fields: KubernetesFields, spec: LaunchSpec): Job {
  requireGpus(spec);
  requireReachable(spec);
  const { launchKey, resources } = spec;
  const { queue, namespace, annotations } = fields;
  const own = { ...fields.labels, ...attemptLabels(launchKey) };
  const noted = Object.keys(annotations).length === 0 ? {} : { annotations };
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: launchKey,
      namespace,
      labels: { ...own, ...(queue === undefined ? {} : { [queueLabel]: queue }) },
      ...noted,
    },
    spec: {
      ...(queue === undefined ? {} : { suspend: true }),
      backoffLimit: 0,
      // Counts the wait for a node too; the run alone is bounded on the pod.
      activeDeadlineSeconds: resources.queueTimeoutSeconds + resources.timeoutSeconds,
      ttlSecondsAfterFinished: keptSeconds,
      podReplacementPolicy: 'Failed',
      podFailurePolicy: { rules: failureRules },
      template: { metadata: { labels: own, ...noted }, spec: podSpec(fields, spec) },
    },
  };
}

// Both fail the Job, as would none; but its condition then says why, also when the pod is gone.
// Ignore would have the cluster start the trainer again, with the token of an attempt that is over.
const failureRules = [
  { action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  { action: 'FailJob', onExitCodes: { containerName: container, operator: 'NotIn', values: [0] } },
];

function podSpec(fields: KubernetesFields, spec: LaunchSpec): object {
  const { gpus, timeoutSeconds } = spec.resources;
  const [uid, gid] = fields.user.split(':').map(Number);
  const { volumes, volumeMounts } = filesOf(fields, spec);
  const nodeSelector =
    gpus.count === 0 || gpus.type === undefined
      ? {}
      : { nodeSelector: { [fields.gpuTypeLabel]: nodeLabelOf(fields, gpus.type) } };
  const forGpus = { key: fields.gpuResource, operator: 'Exists', effect: 'NoSchedule' };
  const tolerations = [...(gpus.count === 0 ? [] : [forGpus]), ...fields.tolerations];
  const pullSecrets = fields.imagePullSecrets.map((name) => ({ name }));
  return {
    restartPolicy: 'Never',
    activeDeadlineSeconds: timeoutSeconds,
    terminationGracePeriodSeconds: graceSeconds,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(fields.serviceAccount === undefined ? {} : { serviceAccountName: fields.serviceAccount }),
    ...(fields.runtimeClass === undefined ? {} : { runtimeClassName: fields.runtimeClass }),
    ...(fields.priorityClass === undefined ? {} : { priorityClassName: fields.priorityClass }),
    ...(pullSecrets.length === 0 ? {} : { imagePullSecrets: pullSecrets }),
    ...nodeSelector,
    ...(tolerations.length === 0 ? {} : { tolerations }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: uid,
      runAsGroup: gid,
      fsGroup: fields.fsGroup ?? gid,
      // A walk through a million images at each start would be the alternative.
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [
      {
        name: container,
        image: spec.image,
        env: environmentOf(spec),
        envFrom: [{ secretRef: { name: spec.launchKey } }],
        resources: amountsOf(fields, spec),
        securityContext: {
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
          readOnlyRootFilesystem: true,
        },
        volumeMounts,
      },
    ],
    volumes,
  };
}

const dataFolder = (spec: LaunchSpec) => `/data/${folderOf(spec.dataPath, spec.dataset)}`;

// `$` doubled: the cluster would put another variable where a value says $(NAME).
function environmentOf(spec: LaunchSpec): { name: string; value: string }[] {
  const all = {
    ...spec.target.environment,
    CW_API: spec.api,
    CW_JOB: spec.jobId,
    CW_DATA: dataFolder(spec),
    CW_OUT: `/out/${spec.jobId}`,
  };
  return Object.entries(all).map(([name, value]) => ({
    name,
    value: value.split('$').join('$$'),
  }));
}

function amountsOf({ gpuResource }: KubernetesFields, { resources }: LaunchSpec): object {
  const { cpus, memoryMiB, gpus } = resources;
  const millis = Math.max(1, Math.round(cpus * 1000));
  const amounts = {
    cpu: millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`,
    memory: `${memoryMiB}Mi`,
    ...(gpus.count === 0 ? {} : { [gpuResource]: String(gpus.count) }),
  };
  return { limits: amounts, requests: amounts };
}

function filesOf(fields: KubernetesFields, spec: LaunchSpec) {
  const { volumes, volumeMounts } = volumesOf([
    { source: spec.dataPath, target: dataFolder(spec), readOnly: true },
    { source: String(spec.target.outputPath), target: '/out', readOnly: false },
    ...fields.mounts,
  ]);
  const sizeLimit = `${fields.sharedMemoryMiB}Mi`;
  const empty = [
    { name: 'tmp', mountPath: '/tmp', emptyDir: {} },
    { name: 'shm', mountPath: '/dev/shm', emptyDir: { medium: 'Memory', sizeLimit } },
    // Kernels that CUDA compiled; a mount of the target may keep them between jobs.
    { name: 'cache', mountPath: '/cache', emptyDir: {} },
  ].filter(({ mountPath }) => fields.mounts.every(({ target }) => target !== mountPath));
  return {
    volumes: [...volumes, ...empty.map(({ name, emptyDir }) => ({ name, emptyDir }))],
    volumeMounts: [...volumeMounts, ...empty.map(({ name, mountPath }) => ({ name, mountPath }))],
  };
}

// The loopback address of a pod is the pod.
function requireReachable({ target, api }: LaunchSpec): void {
  if (!isLoopback(api)) return;
  throw new ProblemError(
    'unprocessable',
    `Target "${target.name}": a pod cannot reach the service at ${api}. Give the target "api" or the service CW_PUBLIC_URL, an address that the cluster reaches.`,
    { errors: [{ pointer: '/target', detail: 'its pods cannot reach the service' }] },
  );
}

/** The Secret with the token of an attempt; it goes when its Job goes. */
export function secretManifest(job: Job, uid: string, token: string): object {
  const { name, namespace } = job.metadata;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      namespace,
      labels: attemptLabels(name),
      ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name, uid }],
    },
    type: 'Opaque',
    immutable: true,
    stringData: { CW_TOKEN: token },
  };
}

/** A pod as the Job would make it, to try out whether the namespace takes it. */
export function podManifest({ metadata, spec }: Job): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: metadata.name, namespace: metadata.namespace, ...spec.template.metadata },
    spec: spec.template.spec,
  };
}
