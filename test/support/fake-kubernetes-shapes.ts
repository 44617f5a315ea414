// What a cluster's API takes, as far as the launcher sends it: unknown fields are refused, and so
// is what validation refuses there. Written from the documented rules, not read from a cluster.

import { z } from 'zod';

const labelValue = z.string().regex(/^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/);
const labelKey = z.string().regex(/^([a-z0-9.-]+\/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/);
const labels = z.record(labelKey, labelValue);
const annotations = z.record(labelKey, z.string());
const objectName = z.string().regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/);
const label = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const quantity = z.string().regex(/^\d+(m|Ki|Mi|Gi)?$/);
const id = z.int().min(0);

const owner = z.strictObject({
  apiVersion: z.string(),
  kind: z.string(),
  name: objectName,
  uid: z.string().min(1),
});

const metadata = z.strictObject({
  name: objectName,
  namespace: label,
  labels: labels.optional(),
  annotations: annotations.optional(),
  ownerReferences: z.array(owner).optional(),
});

const volume = z.union([
  z.strictObject({
    name: label,
    persistentVolumeClaim: z.strictObject({
      claimName: objectName,
      readOnly: z.boolean().optional(),
    }),
  }),
  z.strictObject({
    name: label,
    hostPath: z.strictObject({
      path: z.string().startsWith('/'),
      type: z.literal('Directory').optional(),
    }),
  }),
  z.strictObject({
    name: label,
    emptyDir: z.strictObject({
      medium: z.enum(['Memory', '']).optional(),
      sizeLimit: quantity.optional(),
    }),
  }),
]);

const subPath = z
  .string()
  .refine((path) => !path.startsWith('/') && !path.split('/').includes('..'), 'leads out');

const container = z
  .strictObject({
    name: label,
    image: z.string().min(1),
    env: z
      .array(z.strictObject({ name: z.string().regex(/^[A-Za-z_.-][\w.-]*$/), value: z.string() }))
      .optional(),
    envFrom: z
      .array(z.strictObject({ secretRef: z.strictObject({ name: objectName }) }))
      .optional(),
    resources: z.strictObject({
      limits: z.record(labelKey, quantity),
      requests: z.record(labelKey, quantity),
    }),
    securityContext: z.strictObject({
      allowPrivilegeEscalation: z.literal(false),
      capabilities: z.strictObject({ drop: z.tuple([z.literal('ALL')]) }),
      readOnlyRootFilesystem: z.boolean(),
    }),
    volumeMounts: z.array(
      z.strictObject({
        name: label,
        mountPath: z.string().startsWith('/'),
        subPath: subPath.optional(),
        readOnly: z.boolean().optional(),
      }),
    ),
  })
  .refine(({ resources: { limits, requests } }) => {
    // Of a resource with a domain: whole numbers, and limit and request are one.
    const extended = Object.keys({ ...limits, ...requests }).filter((name) => name.includes('/'));
    return extended.every((name) => limits[name] === requests[name] && /^\d+$/.test(limits[name]));
  }, 'extended resources: the limit must be a whole number and equal the request')
  .refine(
    ({ volumeMounts }) =>
      new Set(volumeMounts.map(({ mountPath }) => mountPath)).size === volumeMounts.length,
    'volumeMounts[].mountPath: must be unique',
  );

const toleration = z
  .strictObject({
    key: z.string().optional(),
    operator: z.enum(['Exists', 'Equal']).optional(),
    value: z.string().optional(),
    effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
    tolerationSeconds: z.int().optional(),
  })
  .refine(({ operator, value }) => operator !== 'Exists' || !value, 'Exists takes no value');

const podSpec = z
  .strictObject({
    // The default, Always, is refused in a Job, so it has to be said.
    restartPolicy: z.literal('Never'),
    activeDeadlineSeconds: z.int().min(1),
    terminationGracePeriodSeconds: z.int().min(0),
    automountServiceAccountToken: z.literal(false),
    enableServiceLinks: z.literal(false),
    serviceAccountName: objectName.optional(),
    runtimeClassName: objectName.optional(),
    priorityClassName: objectName.optional(),
    imagePullSecrets: z.array(z.strictObject({ name: objectName })).optional(),
    nodeSelector: labels.optional(),
    tolerations: z.array(toleration).optional(),
    securityContext: z.strictObject({
      runAsNonRoot: z.literal(true),
      runAsUser: id.min(1),
      runAsGroup: id,
      fsGroup: id,
      fsGroupChangePolicy: z.enum(['Always', 'OnRootMismatch']),
      seccompProfile: z.strictObject({ type: z.literal('RuntimeDefault') }),
    }),
    containers: z.array(container).min(1),
    volumes: z.array(volume),
  })
  .refine(
    ({ volumes, containers }) =>
      containers.every(({ volumeMounts }) =>
        volumeMounts.every((mount) => volumes.some(({ name }) => name === mount.name)),
      ),
    'volumeMounts[].name: not found',
  )
  .refine(
    ({ volumes }) => new Set(volumes.map(({ name }) => name)).size === volumes.length,
    'volumes[].name: duplicate',
  );

const rule = z.union([
  z.strictObject({
    action: z.enum(['Ignore', 'FailJob', 'Count']),
    onPodConditions: z.array(
      z.strictObject({ type: z.string(), status: z.enum(['True', 'False', 'Unknown']) }),
    ),
  }),
  z
    .strictObject({
      action: z.enum(['Ignore', 'FailJob', 'Count']),
      onExitCodes: z.strictObject({
        containerName: z.string().optional(),
        operator: z.enum(['In', 'NotIn']),
        values: z.array(z.int().min(0).max(255)).min(1).max(255),
      }),
    })
    .refine(({ onExitCodes: { operator, values } }) => {
      const rises = values.every((value, at) => at === 0 || value > values[at - 1]);
      return rises && (operator === 'NotIn' || !values.includes(0));
    }, 'values: must be ordered, without duplicates, and without 0 for In'),
]);

/** A Job whose pods can be named: 63 characters with the suffix of six. */
export const jobSchema = z
  .strictObject({
    apiVersion: z.literal('batch/v1'),
    kind: z.literal('Job'),
    metadata,
    spec: z.strictObject({
      suspend: z.boolean().optional(),
      backoffLimit: z.int().min(0).optional(),
      activeDeadlineSeconds: z.int().min(1).optional(),
      ttlSecondsAfterFinished: z.int().min(0).optional(),
      podReplacementPolicy: z.enum(['TerminatingOrFailed', 'Failed']).optional(),
      podFailurePolicy: z.strictObject({ rules: z.array(rule).max(20) }).optional(),
      template: z.strictObject({
        metadata: z.strictObject({ labels, annotations: annotations.optional() }),
        spec: podSpec,
      }),
    }),
  })
  .refine(({ metadata: { name } }) => name.length + 6 <= 63, 'metadata.name: too long')
  .refine(
    ({ spec }) => spec.podFailurePolicy === undefined || spec.podReplacementPolicy === 'Failed',
    'podReplacementPolicy: must be Failed with podFailurePolicy',
  )
  .refine(
    ({ spec }) =>
      (spec.podFailurePolicy?.rules ?? []).every(
        (one) =>
          !('onExitCodes' in one) ||
          one.onExitCodes.containerName === undefined ||
          spec.template.spec.containers.some(({ name }) => name === one.onExitCodes.containerName),
      ),
    'podFailurePolicy: no container of that name',
  );

export const podSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Pod'),
  metadata,
  spec: podSpec,
});

export const secretSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata,
  type: z.literal('Opaque'),
  immutable: z.boolean().optional(),
  stringData: z.record(z.string().regex(/^[-._a-zA-Z0-9]+$/), z.string()),
});

/** Only metadata of a Job may be patched here: its template cannot be changed once it is made. */
export const jobPatchSchema = z.strictObject({
  metadata: z.strictObject({
    uid: z.string().optional(),
    labels: labels.optional(),
    annotations: annotations.optional(),
  }),
});

export const deleteSchema = z.strictObject({
  kind: z.literal('DeleteOptions'),
  apiVersion: z.literal('v1'),
  propagationPolicy: z.enum(['Orphan', 'Background', 'Foreground']).optional(),
  gracePeriodSeconds: z.int().min(0).optional(),
  preconditions: z.strictObject({ uid: z.string().optional() }).optional(),
});

export const reviewSchema = z.strictObject({
  apiVersion: z.literal('authorization.k8s.io/v1'),
  kind: z.literal('SelfSubjectAccessReview'),
  spec: z.strictObject({
    resourceAttributes: z.strictObject({
      namespace: z.string(),
      verb: z.string(),
      group: z.string(),
      resource: z.string(),
      subresource: z.string().optional(),
    }),
  }),
});
