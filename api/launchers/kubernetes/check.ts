// What is wrong with a cluster as a target, before a job finds out: rights, and a Job and a pod
// that are tried out (dry run), so that quotas, webhooks and Pod Security have their say.

import { resourcesSchema } from '../../contract/settings.ts';
import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import type { EngineAnswer } from '../engine-http.ts';
import type { LaunchSpec } from '../launcher.ts';
import { answerProblem, type Cluster, corePath, jobsPath, json } from './answers.ts';
import { type Job, jobManifest, podManifest } from './manifest.ts';

type Right = { group: string; resource: string; verbs: string[] };

/** All that the launcher does on a cluster; infra/kubernetes/ grants just this. */
export const neededRights: Right[] = [
  { group: 'batch', resource: 'jobs', verbs: ['create', 'get', 'list', 'patch', 'delete'] },
  { group: '', resource: 'pods', verbs: ['get', 'list'] },
  { group: '', resource: 'pods/log', verbs: ['get'] },
  { group: '', resource: 'secrets', verbs: ['create', 'delete'] },
  { group: '', resource: 'events', verbs: ['list'] },
];

/** The oldest version in which the fields of the Job are there without switching them on. */
const oldestMinor = 29;

export async function checkCluster(cluster: Cluster, target: LaunchTarget): Promise<Finding[]> {
  const findings: Finding[] = [];
  const steps = [versionFinding, rightsFindings, trialFindings, queueFindings];
  for (const step of steps) {
    try {
      findings.push(...(await step(cluster, target)));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      findings.push({ severity: 'error', detail: error.detail });
      break;
    }
  }
  const detail =
    'not checked, since it needs rights on nodes: whether the image can be pulled, whether any node has such a GPU free, and whether the volumes exist';
  return [...findings, { severity: 'warning', detail }];
}

async function versionFinding(cluster: Cluster): Promise<Finding[]> {
  const answer = await cluster.send({ method: 'GET', path: '/version' });
  const version = answer.json?.gitVersion;
  if (answer.status !== 200 || typeof version !== 'string') {
    throw answerProblem(cluster, 'read its version', answer);
  }
  const minor = Number.parseInt(String(answer.json.minor), 10);
  if (minor >= oldestMinor) return [{ severity: 'ok', detail: `Kubernetes ${version}` }];
  const detail = `Kubernetes ${version} is older than 1.${oldestMinor}: it may not say why a trainer was taken off its node`;
  return [{ severity: 'warning', detail }];
}

async function rightsFindings(cluster: Cluster): Promise<Finding[]> {
  const missing: string[] = [];
  for (const { group, resource, verbs } of neededRights) {
    for (const verb of verbs) {
      if (!(await mayDo(cluster, { group, resource, verb }))) missing.push(`${verb} ${resource}`);
    }
  }
  const { namespace } = cluster.fields;
  if (missing.length === 0) {
    return [{ severity: 'ok', detail: `has the rights that it needs in namespace ${namespace}` }];
  }
  const detail = `lacks rights in namespace ${namespace}: ${missing.join(', ')}; infra/kubernetes/ has the Role`;
  return [{ severity: 'error', detail }];
}

async function mayDo(
  cluster: Cluster,
  { group, resource: path, verb }: { group: string; resource: string; verb: string },
): Promise<boolean> {
  const [resource, subresource] = path.split('/');
  const { namespace } = cluster.fields;
  const about = { namespace, verb, group, resource };
  const resourceAttributes = subresource === undefined ? about : { ...about, subresource };
  const answer = await cluster.send({
    method: 'POST',
    path: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    headers: json,
    body: JSON.stringify({
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes },
    }),
  });
  if (answer.status !== 201) throw answerProblem(cluster, 'ask for its own rights', answer);
  return answer.json?.status?.allowed === true;
}

async function trialFindings(cluster: Cluster, target: LaunchTarget): Promise<Finding[]> {
  if (target.images.length === 0) {
    return [{ severity: 'warning', detail: 'no images are listed, so no Job was tried out' }];
  }
  const job = jobManifest(cluster.fields, sampleSpec(target));
  const ofJob = await tried(cluster, jobsPath(cluster), job);
  const forJob = trialFinding(cluster, 'Job', ofJob);
  const ofPod = await tried(cluster, corePath(cluster, 'pods'), podManifest(job));
  return [...forJob, ...podFindings(cluster, ofPod)];
}

function tried(cluster: Cluster, path: string, body: Job | object): Promise<EngineAnswer> {
  return cluster.send({
    method: 'POST',
    path: `${path}?dryRun=All&fieldValidation=Strict`,
    headers: json,
    body: JSON.stringify(body),
  });
}

// To create pods is no right that a launch needs, so its lack is no fault.
function podFindings(cluster: Cluster, answer: EngineAnswer): Finding[] {
  if (answer.status !== 403 || !/cannot create resource "pods"/.test(String(answer.json?.message)))
    return trialFinding(cluster, 'pod', answer);
  const detail =
    'no pod was tried out, which needs the right to create pods (infra/kubernetes/check.yaml): whether Pod Security, LimitRange and quota take it is not known';
  return [{ severity: 'warning', detail }];
}

function trialFinding(cluster: Cluster, kind: string, answer: EngineAnswer): Finding[] {
  if (answer.status !== 201) {
    const { detail } = answerProblem(cluster, `create this ${kind}`, answer);
    return [{ severity: 'error', detail }];
  }
  const warnings = [...(answer.headers.warning ?? '').matchAll(/299 \S+ "((?:[^"\\]|\\.)*)"/g)];
  return [
    { severity: 'ok', detail: `the cluster would take a ${kind} (dry run)` },
    ...warnings.map(([, words]) => ({
      severity: 'warning' as const,
      detail: `of a ${kind} the cluster says: ${words.replaceAll('\\"', '"')}`,
    })),
  ];
}

async function queueFindings(cluster: Cluster): Promise<Finding[]> {
  const { queue, namespace } = cluster.fields;
  if (queue === undefined) return [];
  const path = `/apis/kueue.x-k8s.io/v1beta1/namespaces/${namespace}/localqueues/${queue}`;
  const { status } = await cluster.send({ method: 'GET', path });
  if (status === 200) return [{ severity: 'ok', detail: `Kueue has the queue "${queue}"` }];
  if (status === 403) {
    const detail = `whether Kueue has the queue "${queue}" is not known: it may not be read (infra/kubernetes/check.yaml)`;
    return [{ severity: 'warning', detail }];
  }
  const detail = `there is no LocalQueue "${queue}" in namespace ${namespace}, so jobs would wait for good (${status})`;
  return [{ severity: 'error', detail }];
}

function sampleSpec(target: LaunchTarget): LaunchSpec {
  const gpus = target.gpuTypes.length === 0 ? { count: 0 } : { count: 1, type: target.gpuTypes[0] };
  const [[dataset, dataPath]] = [
    ...Object.entries(target.dataPaths),
    ['images', target.outputPath ?? ''],
  ];
  return {
    launchKey: 'cw-check-0',
    jobId: 'check',
    image: target.images[0],
    trainer: 'counterweight',
    api: target.api ?? 'https://counterweight.invalid',
    dataset,
    dataPath,
    resources: resourcesSchema.parse({ gpus, ...target.defaults }),
    target,
  };
}
