// What a target of engine `kubernetes` says for this engine alone, and how its paths name volumes:
// `pvc:CLAIM/folder` is a folder of a claim, `/folder` one on every node.

import { z } from 'zod';
import type { LaunchTarget } from '../../contract/targets.ts';
import { isLoopback } from '../loopback.ts';
import { ownFields, requireField, targetProblem } from '../target-fields.ts';

const name = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'is lower-case letters, digits and hyphens');
const labelValue = z
  .string()
  .regex(/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/, 'is no value of a label');
const labelKey = z
  .string()
  .regex(
    /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/,
    'is no key of a label',
  );
const freeKey = labelKey.refine(
  (key) => !/^(cw\/|app\.kubernetes\.io\/managed-by$|kueue\.x-k8s\.io\/queue-name$)/.test(key),
  'is set by the launcher itself',
);
const source = z
  .string()
  .regex(/^(pvc:[a-z0-9][a-z0-9.-]*(\/.*)?|\/.+)$/, 'is no pvc:CLAIM, pvc:CLAIM/folder or /folder')
  .refine((path) => !path.split('/').includes('..'), 'may not contain ..');

/** Where the launcher itself mounts something. */
const taken = ['/tmp', '/dev/shm', '/out', '/data'];

const fieldsSchema = z.strictObject({
  namespace: name.default('counterweight'),
  /** A LocalQueue of Kueue: jobs are made suspended, and Kueue lets them start. */
  queue: name.optional(),
  /** Of the trainers' pods; no token of it is mounted. */
  serviceAccount: name.optional(),
  imagePullSecrets: z.array(name).default([]),
  runtimeClass: name.optional(),
  priorityClass: name.optional(),
  gpuResource: labelKey.default('nvidia.com/gpu'),
  /** Label of the nodes that says which GPU they have, and its value by the name in gpuTypes. */
  gpuTypeLabel: labelKey.default('nvidia.com/gpu.product'),
  gpuNodeLabels: z.record(z.string(), labelValue).default({}),
  /** uid:gid of the trainer; `fsGroup` owns the volumes, by default the gid. */
  user: z
    .string()
    .regex(/^[1-9]\d*:[1-9]\d*$/, 'is uid:gid in numbers, and not root')
    .default('1000:1000'),
  fsGroup: z.int().min(1).optional(),
  sharedMemoryMiB: z.int().min(1).default(1024),
  /** Besides the images and outputPath, such as nnU-Net's preprocessed folder. */
  mounts: z
    .array(
      z.strictObject({
        source,
        target: z
          .string()
          .startsWith('/')
          .refine((path) => !taken.includes(path), 'is where the launcher itself mounts something'),
        readOnly: z.boolean().default(true),
      }),
    )
    .default([]),
  labels: z.record(freeKey, labelValue).default({}),
  annotations: z.record(freeKey, z.string()).default({}),
  /** Besides the one for gpuResource. */
  tolerations: z
    .array(
      z.strictObject({
        key: z.string().optional(),
        operator: z.enum(['Exists', 'Equal']).optional(),
        value: z.string().optional(),
        effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
        tolerationSeconds: z.int().min(0).optional(),
      }),
    )
    .default([]),
});
export type KubernetesFields = z.output<typeof fieldsSchema>;

/** The fields of a target, checked; throws ProblemError `launcher-failed` that names the field. */
export function kubernetesFields(target: LaunchTarget): KubernetesFields & { address: string } {
  const address = requireField(target, 'address', 'https://10.0.0.1:6443');
  if (!isSafeAddress(address)) {
    const what = 'is no https address; the token would travel in the clear';
    throw targetProblem(target, 'address', what);
  }
  const fields = ownFields(target, fieldsSchema);
  const paths = Object.entries(target.dataPaths).map(([dataset, path]) => ({
    field: `dataPaths.${dataset}`,
    path,
  }));
  const outputPath = requireField(target, 'outputPath', 'pvc:counterweight/out');
  for (const { field, path } of [...paths, { field: 'outputPath', path: outputPath }]) {
    const read = source.safeParse(path);
    if (!read.success) throw targetProblem(target, field, read.error.issues[0].message);
  }
  for (const type of target.gpuTypes) {
    if (labelValue.safeParse(nodeLabelOf(fields, type)).success) continue;
    const what = `"${type}" is no value of a label of nodes; give it one in gpuNodeLabels`;
    throw targetProblem(target, 'gpuTypes', what);
  }
  return { ...fields, address };
}

// Plain HTTP only to this machine, where `kubectl proxy` listens.
function isSafeAddress(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol } = new URL(address);
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(address));
}

/** The value that the label of nodes has for a type of GPU. */
export function nodeLabelOf({ gpuNodeLabels }: KubernetesFields, type: string): string {
  return gpuNodeLabels[type] ?? type;
}

export type Mounted = { source: string; target: string; readOnly: boolean };

/**
 * Volumes and where they are mounted. A claim becomes one volume, however many of its folders are
 * mounted; what is read only is so where it is mounted.
 */
export function volumesOf(mounts: Mounted[]): { volumes: object[]; volumeMounts: object[] } {
  const volumes = new Map<string, { name: string } & Record<string, unknown>>();
  const volumeMounts = mounts.map(({ source: from, target: mountPath, readOnly }) => {
    const { whole, subPath, volume } = partsOf(from);
    const known = volumes.get(whole) ?? { name: `files-${volumes.size}`, ...volume };
    volumes.set(whole, known);
    return {
      name: known.name,
      mountPath,
      ...(subPath === '' ? {} : { subPath }),
      ...(readOnly ? { readOnly } : {}),
    };
  });
  return { volumes: [...volumes.values()], volumeMounts };
}

function partsOf(from: string): { whole: string; subPath: string; volume: object } {
  if (!from.startsWith('pvc:')) {
    // Directory: a folder that is not on the node is an error and not made, empty, by root.
    const volume = { hostPath: { path: from, type: 'Directory' } };
    return { whole: from, subPath: '', volume };
  }
  const [claimName, ...folders] = from.slice('pvc:'.length).split('/').filter(Boolean);
  const volume = { persistentVolumeClaim: { claimName } };
  return { whole: `pvc:${claimName}`, subPath: folders.join('/'), volume };
}

/** The last folder of a path, or what to call it where it is a whole claim. */
export function folderOf(from: string, otherwise: string): string {
  const folders = from.split('/').filter(Boolean);
  return (from.startsWith('/') ? folders : folders.slice(1)).at(-1) ?? otherwise;
}
