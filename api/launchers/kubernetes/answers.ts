// How the API of a cluster is asked, and what its refusals mean: a 404 of a Job is not one of the
// namespace or of some other server, and a 403 may be a right or a quota.

import { ProblemError } from '../../errors.ts';
import { type EngineAnswer, type EngineClient, shown } from '../engine-http.ts';
import type { KubernetesFields } from './fields.ts';
import { managedBy } from './manifest.ts';

/** The cluster of a target: its client, and what is said of it. */
export type Cluster = { send: EngineClient; target: string; fields: KubernetesFields };

export const json = { 'content-type': 'application/json' };
const perPage = 500;
const mostPages = 200;
const mostRestarts = 3;

export const jobsPath = ({ fields }: Cluster) =>
  `/apis/batch/v1/namespaces/${fields.namespace}/jobs`;
export const corePath = ({ fields }: Cluster, kind: string) =>
  `/api/v1/namespaces/${fields.namespace}/${kind}`;

/** Whether the answer says that this object is not there, and the namespace is. */
export function isMissing({ status, json: said }: EngineAnswer): boolean {
  return status === 404 && isStatus(said) && said.details?.kind !== 'namespaces';
}

const isStatus = (said: EngineAnswer['json']) => said?.kind === 'Status';

/** What an answer that was not hoped for means; `doing` completes "could not". */
export function answerProblem(
  { target, fields }: Cluster,
  doing: string,
  { status, text, json: said, headers }: EngineAnswer,
  secret?: string,
): ProblemError {
  const words = shown(String(said?.message ?? text), secret);
  const failed = (detail: string) =>
    new ProblemError('launcher-failed', `Target "${target}": ${detail}`);
  const later = (detail: string) =>
    new ProblemError('unavailable', `Target "${target}" could not ${doing} now: ${detail}`);
  if (status === 401) {
    return failed(
      'the cluster does not accept the token (401): it is wrong or has expired; renew what "credentials" names.',
    );
  }
  if (status === 403 && /exceeded quota/.test(words)) return later(`${words}.`);
  if (status === 403) {
    return failed(
      `it may not ${doing} (403): ${words}. infra/kubernetes/ has the Role that is needed.`,
    );
  }
  if (status === 404 && said?.details?.kind === 'namespaces') {
    return failed(`the cluster has no namespace "${fields.namespace}".`);
  }
  if (status === 404 && !isStatus(said)) {
    return failed(`what answers at its address is no API of Kubernetes (404): ${words}.`);
  }
  if (status === 429) {
    const wait = headers['retry-after'] ?? said?.details?.retryAfterSeconds;
    const when = wait === undefined ? '' : `; it asks to wait ${wait} s`;
    return later(`the cluster has too many requests${when}.`);
  }
  if (status >= 500) return later(`the cluster said ${words} (${status}).`);
  if (status >= 300 && status < 400) {
    return failed(`its address answers with a redirect (${status}), which is not followed.`);
  }
  return failed(`could not ${doing} (${status}): ${words}.`);
}

/** All objects of ours of a kind: one request per 500, not one per job. */
export async function listed(cluster: Cluster, path: string): Promise<EngineAnswer['json'][]> {
  for (let restarts = 0; restarts <= mostRestarts; restarts++) {
    const found = await pagesOf(cluster, path, { labelSelector: ours });
    if (found !== 'expired') return found;
  }
  const detail = `Target "${cluster.target}": its list changed faster than it could be read.`;
  throw new ProblemError('unavailable', detail);
}

export const ours = Object.entries(managedBy)
  .map(([key, value]) => `${key}=${value}`)
  .join(',');

async function pagesOf(
  cluster: Cluster,
  path: string,
  query: Record<string, string>,
): Promise<EngineAnswer['json'][] | 'expired'> {
  const items: EngineAnswer['json'][] = [];
  let from = '';
  for (let page = 0; page < mostPages; page++) {
    const asked = new URLSearchParams({ ...query, limit: String(perPage) });
    if (from !== '') asked.set('continue', from);
    const answer = await cluster.send({ method: 'GET', path: `${path}?${asked}` });
    // 410: the list is too old to go on with, and is read from its beginning.
    if (answer.status === 410) return 'expired';
    if (answer.status !== 200 || !Array.isArray(answer.json?.items)) {
      throw answerProblem(cluster, `list ${path.split('/').at(-1)}`, answer);
    }
    items.push(...answer.json.items);
    from = answer.json.metadata?.continue ?? '';
    if (from === '') return items;
  }
  throw new ProblemError('launcher-failed', `Target "${cluster.target}": its list has no end.`);
}
