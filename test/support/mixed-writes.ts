// Clients that write all kinds of things to a service that may be away at any moment: each asks
// until it is answered, with one key for one thing, and keeps what it was told was done.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { attributes, caseLines, foldsOf, ndjsonOf, rules } from './builders.ts';
import type { KilledService } from './killed-service.ts';

/** What a client was told was done: where it stands, and what must stand there. */
export type Acknowledged = { path: string; holds: Record<string, unknown> };

export type MixedWrites = {
  acknowledged: Acknowledged[];
  /** Job ids by the reason of their launch, one for each that was asked for. */
  jobs: Map<string, string>;
  /** Answers that no client should get, whatever is killed. */
  faults: string[];
  /** Writes until it is told to stop; the last round is ended. */
  run: (clients: number, goesOn: () => boolean) => Promise<void>;
};

/** `later`: it says when to ask again. */
type Answer = { status: number; body: any; later: boolean };

async function read(response: Response): Promise<Answer> {
  const later = response.headers.has('retry-after');
  return { status: response.status, body: JSON.parse(await response.text()), later };
}

/** Statuses by which a service says that it is not itself at the moment. */
const away = new Set([502, 503, 504]);

async function askUntilAnswered(
  { url, token }: KilledService,
  {
    method,
    path,
    body,
    faults,
  }: { method: string; path: string; body?: unknown; faults: string[] },
): Promise<Answer> {
  const ndjson = typeof body === 'string';
  const headers: Record<string, string> = {
    authorization: `Bearer ${token}`,
    'content-type': ndjson ? 'application/x-ndjson' : 'application/json',
    'idempotency-key': randomUUID(),
    ...(ndjson ? { 'upload-part': '1' } : {}),
  };
  const init = { method, headers, body: ndjson ? body : JSON.stringify(body) };
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
    const answer = await fetch(`${url}${path}`, init)
      .then(read)
      .catch(() => null);
    if (answer !== null && !away.has(answer.status) && !answer.later) {
      if (answer.status >= 500) faults.push(`${method} ${path}: ${JSON.stringify(answer.body)}`);
      return answer;
    }
    await sleep(pauseMs);
  }
}

type Writer = {
  must: (method: string, path: string, body?: unknown) => Promise<any>;
  keep: (path: string, holds: Record<string, unknown>) => void;
  launched: (reason: string, id: string) => void;
};

/** The dataset of a client's round. */
export const datasetName = (client: number, round: number) => `set-${client}-${round}`;

/** Writers whose things are told apart by the number of their client and of its round. */
export function mixedWrites(service: KilledService): MixedWrites {
  const acknowledged: Acknowledged[] = [];
  const jobs = new Map<string, string>();
  const faults: string[] = [];
  const writer: Writer = {
    must: async (method, path, body) => {
      const answer = await askUntilAnswered(service, { method, path, body, faults });
      if (answer.status < 300) return answer.body;
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    },
    keep: (path, holds) => acknowledged.push({ path, holds }),
    launched: (reason, id) => jobs.set(reason, id),
  };
  return {
    acknowledged,
    jobs,
    faults,
    run: async (clients, goesOn) => {
      const client = async (number: number) => {
        for (let k = 0; goesOn(); k++) await writeOne(writer, datasetName(number, k));
      };
      await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
    },
  };
}

/** A dataset with all that comes of it, and jobs. */
async function writeOne(writer: Writer, name: string): Promise<void> {
  const digest = await writeSnapshot(writer, name);
  for (let k = 0; k < 3; k++) {
    const reason = `${name}, job ${k}`;
    const settings = { epochs: 1, drawsPerEpoch: 8, batchSize: 2 };
    const body = { snapshot: digest, target: 'local', seed: 7, settings, reason };
    const job = await writer.must('POST', '/v1/jobs', body);
    writer.launched(reason, job.id);
    writer.keep(`/v1/jobs/${job.id}`, { id: job.id, launchReason: reason });
  }
  const withdrawn = { caseId: 'case_0003', reason: `withdrawn from ${name}` };
  await writer.must('POST', `/v1/datasets/${name}/withdrawals`, withdrawn);
  const holds = { items: [{ caseId: withdrawn.caseId }] };
  writer.keep(`/v1/datasets/${name}/withdrawals`, holds);
}

async function writeSnapshot({ must, keep }: Writer, name: string): Promise<string> {
  const dataset = `/v1/datasets/${name}`;
  const labels = { background: 0, organ: 1, lesion: 2 };
  const body = { name, attributes, labels, channels: { '0': 'MRI' } };
  const { id } = await must('POST', '/v1/datasets', body);
  keep(dataset, { id, name });
  await must('POST', `${dataset}/versions`, { reason: `first of ${name}` });
  const lines = caseLines(20);
  await must('POST', `${dataset}/versions/1/cases`, ndjsonOf(lines));
  const folds = foldsOf(lines.map((line) => line.id));
  await must('PUT', `${dataset}/versions/1/splits/five-fold`, folds);
  const { digest } = await must('POST', `${dataset}/versions/1/commit`, { reason: 'checked' });
  keep(`${dataset}/versions/1`, { state: 'committed', digest, caseCount: lines.length });
  const rulesOf = { name: 'r', rules, reason: `rules of ${name}` };
  const ruleSet = await must('POST', `${dataset}/rule-sets`, rulesOf);
  keep(`${dataset}/rule-sets/r@1`, { id: ruleSet.id, digest: ruleSet.digest });
  const fold = { version: 1, split: 'five-fold', fold: 0 };
  const frozen = { ...fold, ruleSet: 'r@1', reason: `of ${name}` };
  const snapshot = await must('POST', `${dataset}/snapshots`, frozen);
  keep(`/v1/snapshots/${snapshot.id}`, { digest: snapshot.digest });
  const aliased = { snapshots: { 0: snapshot.id }, reason: `alias of ${name}` };
  await must('PUT', `${dataset}/aliases/candidate`, aliased);
  keep(`${dataset}/aliases/candidate`, { name: 'candidate' });
  return snapshot.digest;
}
