// Jobs whose draws change while they run: rules that a run's own losses move, and a trainer on the
// fake engine that reports epoch after epoch, drawing by what it is answered.

import type {
  CaseLoss,
  Metric,
  ReportAnswer,
  SnapshotDocument,
} from '../../api/contract/trainer.ts';
import { must, ndjsonOf } from './builders.ts';
import { type JobTest, jobSettings, ledgerRange, openJobTest } from './jobs.ts';

const ids = ['a', 'b', 'c', 'd', 'e', 'f'];
const adaptive = { everyEpochs: 2, attribute: 'runLoss', momentum: 0.5, minEvidence: 1 };

/** Rules with a term that reads the run's losses; `more` overrides fields of the document. */
export const movingRules = (more: Record<string, unknown> = {}) => ({
  groups: ['site'],
  sampling: {
    terms: [
      { name: 'noisy', kind: 'formula', expression: 'case.noise' },
      { name: 'hard', kind: 'difficulty', attribute: 'runLoss', measure: 'loss', power: 1 },
    ],
  },
  adaptive: { ...adaptive, ...(more.adaptive as object) },
  ...(more.schedule === undefined ? {} : { schedule: more.schedule }),
});

/** A dataset of six training cases; `freeze` makes a snapshot of the rules it is given. */
export async function openMoving() {
  const api = await openJobTest({ dataPaths: { phantom: '/images', moving: '/images' } });
  const attributes = {
    site: { type: 'string' },
    noise: { type: 'number' },
    runLoss: { type: 'number', required: false },
  };
  const labels = { background: 0, organ: 1 };
  const path = '/v1/datasets/moving';
  const dataset = { name: 'moving', attributes, labels, channels: { '0': 'MRI' } };
  await must(api, 201, 'POST', '/v1/datasets', dataset);
  await must(api, 201, 'POST', `${path}/versions`, { reason: 'test' });
  const lines = [...ids, 'v'].map((id, k) => ({
    id,
    attributes: { site: k % 2 === 0 ? 'A' : 'B', noise: 1 + k / 2 },
    files: [{ path: `${id}.nii.gz`, sha256: 'a'.repeat(64) }],
  }));
  await must(api, 200, 'POST', `${path}/versions/1/cases`, ndjsonOf(lines));
  await must(api, 200, 'PUT', `${path}/versions/1/splits/one`, [{ train: ids, val: ['v'] }]);
  await must(api, 200, 'POST', `${path}/versions/1/commit`, { reason: 'test' });
  let count = 0;
  const freeze = async (rules: unknown): Promise<string> => {
    const name = `moving-${++count}`;
    await must(api, 201, 'POST', `${path}/rule-sets`, { name, rules, reason: 'test' });
    const body = { version: 1, split: 'one', fold: 0, ruleSet: `${name}@1`, reason: 'test' };
    return (await must(api, 201, 'POST', `${path}/snapshots`, body)).digest;
  };
  return { api, freeze };
}

type Epoch = {
  from?: number;
  draws?: number;
  losses?: Record<string, number>;
  metrics?: Partial<Metric>[];
  snapshot?: string;
};

export type MovingRun = {
  /** What epochs are drawn by, as the service has said so far. */
  planned: { digest: string; fromEpoch: number }[];
  drawnBy: (epoch: number) => string;
  /** Reports an epoch, or a range of it; answers the snapshot that is announced. */
  epoch: (epoch: number, given?: Epoch) => Promise<ReportAnswer['snapshot']>;
  /** Sends the last report again. */
  again: () => Promise<ReportAnswer['snapshot']>;
};

/** A trainer of an attempt; what it draws by is what the job and the answers say. */
export async function movingRun(api: JobTest, id: string, attempt = 1): Promise<MovingRun> {
  const trainer = api.trainer(id, attempt);
  const job = await trainer.get('job');
  if (job.status !== 200) throw new Error(JSON.stringify(job.body));
  const planned = job.body.snapshots as MovingRun['planned'];
  const drawnBy = (epoch: number) =>
    planned.findLast(({ fromEpoch }) => fromEpoch <= epoch)?.digest as string;
  let sequence = job.body.nextSequence as number;
  let last: object = {};
  const send = async () => {
    const answer = await trainer.report({ sequence, ...last });
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    const { snapshot } = answer.body as ReportAnswer;
    if (snapshot !== undefined && drawnBy(snapshot.fromEpoch) !== snapshot.digest) {
      planned.push(snapshot);
    }
    return snapshot;
  };
  return {
    planned,
    drawnBy,
    epoch: async (epoch, { losses = {}, metrics = [], snapshot, from = 0, draws } = {}) => {
      const wanted = { epoch, from, snapshot: snapshot ?? drawnBy(epoch) };
      const range = await ledgerRange(api, draws === undefined ? wanted : { ...wanted, draws });
      const caseLosses: CaseLoss[] = Object.entries(losses).map(([name, loss]) => {
        return { id: name, loss, seen: 1, epoch, from };
      });
      const step = ((epoch + 1) * jobSettings.drawsPerEpoch) / jobSettings.batchSize;
      const placed = metrics.map((metric) => ({ name: 'x', value: 0, step, epoch, ...metric }));
      last = { ledger: [range], caseLosses, metrics: placed };
      const answered = await send();
      sequence += 1;
      return answered;
    },
    again: async () => {
      sequence -= 1;
      const answered = await send();
      sequence += 1;
      return answered;
    },
  };
}

/** What readers see of jobs and snapshots, each in one call. */
export function readersOf(api: JobTest) {
  const get = async (path: string) => await must(api, 200, 'GET', `/v1/${path}`);
  const casesOf = async (digest: string) => {
    const path = `/v1/snapshots/${digest}/cases`;
    const answer = await api.send('GET', path, undefined, { accept: 'application/json' });
    return ((await answer.json()) as SnapshotDocument).cases;
  };
  return {
    get,
    snapshotOf: (digest: string) => get(`snapshots/${digest}`),
    shiftBetween: async (a: string, b: string): Promise<number> =>
      (await get(`snapshots/${a}/diff/${b}`)).totalVariation,
    ledgerOf: async (id: string): Promise<string[]> =>
      (await get(`jobs/${id}/ledger`)).items.map((one: { state: string }) => one.state),
    eventsOf: async (id: string, kind: string): Promise<Record<string, unknown>[]> =>
      (await get(`jobs/${id}/events?limit=500`)).items
        .filter((event: { kind: string }) => event.kind === kind)
        .map(({ detail }: { detail: Record<string, unknown> }) => detail),
    drawsOf: async (digest: string) => (await casesOf(digest)).map(({ drawUnits }) => drawUnits),
    targetsOf: async (digest: string) =>
      (await casesOf(digest)).map(({ targetUnits }) => targetUnits),
  };
}
