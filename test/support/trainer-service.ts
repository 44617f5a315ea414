// The service's side of the trainer protocol, from memory, for tests of a trainer. Every body is
// checked against the contract, every ledger range against a replay of its plan.

import { serve } from '@hono/node-server';
import {
  type Finish,
  finishSchema,
  type LedgerRange,
  type Metric,
  type Report,
  type ReportAnswer,
  reportAnswerSchema,
  reportSchema,
  type SnapshotDocument,
  type TrainerCase,
  trainerCaseSchema,
} from '../../api/contract/trainer.ts';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';

export type JobInput = {
  id: string;
  attempt?: number;
  seed: number;
  settings: Record<string, unknown>;
  labels: Record<string, number | number[]>;
  channels: Record<string, string>;
  groups?: string[];
  /** Switches that the service has decided on before the attempt. */
  snapshots?: { digest: string; fromEpoch: number }[];
};

export type TrainerServiceOptions = {
  job: JobInput;
  snapshots: [SnapshotDocument, ...SnapshotDocument[]];
  cases: TrainerCase[];
  /** Decides the answer to a newly stored report; the default never stops and never switches. */
  answer?: (report: Report) => Partial<ReportAnswer>;
};

export type TrainerService = ReturnType<typeof createTrainerService>;

/** A service for one job; `fetch` answers without a network, `listen` with one. */
export function createTrainerService(options: TrainerServiceOptions) {
  const state = {
    token: 'attempt-token',
    reports: [] as Report[],
    finished: null as Finish | null,
    revoked: false,
    /** How many requests from now on meet a network error; 'until told' with Infinity. */
    away: 0,
    requests: 0,
    answer: options.answer ?? (() => ({})),
  };
  const answers = new Map<number, ReportAnswer>();

  const takeReport = async (request: Request): Promise<Response> => {
    if (state.revoked) return problem(409, 'another attempt of this job has begun');
    const parsed = reportSchema.safeParse(await request.json());
    if (!parsed.success) return problem(422, parsed.error.message);
    const { sequence } = parsed.data;
    if (!answers.has(sequence)) {
      const faulty = (parsed.data.ledger ?? []).find((range) => !isReplayed(options, range));
      if (faulty) return problem(422, `ledger mismatch in epoch ${faulty.epoch}`);
      state.reports.push(parsed.data);
      const more = state.answer(parsed.data);
      answers.set(sequence, reportAnswerSchema.parse({ accepted: true, stop: false, ...more }));
    }
    return Response.json(answers.get(sequence));
  };

  const answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    if (request.headers.get('authorization') !== `Bearer ${state.token}`) {
      return problem(401, 'unknown token');
    }
    if (pathname === '/v1/trainer/reports') return await takeReport(request);
    if (pathname === '/v1/trainer/finish') {
      if (state.revoked) return problem(409, 'another attempt of this job has begun');
      state.finished = finishSchema.parse(await request.json());
      return Response.json({ accepted: true });
    }
    return readingOf(options, new URL(request.url), Math.max(-1, ...answers.keys()) + 1);
  };

  const fetchReply = async (input: string | URL | Request, init?: RequestInit) => {
    state.requests += 1;
    if (state.away > 0) {
      state.away -= 1;
      throw new TypeError('fetch failed');
    }
    return await answer(new Request(input, init));
  };
  return {
    state,
    fetch: fetchReply as typeof fetch,
    metrics: (name: string): Metric[] =>
      state.reports.flatMap((report) => report.metrics.filter((metric) => metric.name === name)),
    ledger: (): LedgerRange[] => state.reports.flatMap((report) => report.ledger ?? []),
    log: (): string => state.reports.map((report) => report.log ?? '').join(''),
    listen: (port = 0) => listening(answer, port),
  };
}

/** The answer to what a trainer may only read. */
function readingOf(options: TrainerServiceOptions, url: URL, nextSequence: number): Response {
  const { job, snapshots, cases } = options;
  const [first] = snapshots;
  switch (url.pathname) {
    case '/v1/trainer/job': {
      const snapshot = { digest: first.digest, header: first.header };
      const body = { attempt: 1, groups: [], monitors: {}, ...job, snapshot, nextSequence };
      return Response.json(body);
    }
    case '/v1/trainer/snapshot': {
      const wanted = url.searchParams.get('digest') ?? first.digest;
      const found = snapshots.find(({ digest }) => digest === wanted);
      return found ? Response.json(found) : problem(404, `no snapshot ${wanted}`);
    }
    case '/v1/trainer/cases': {
      const lines = cases.map((line) => JSON.stringify(trainerCaseSchema.parse(line)));
      return new Response(`${lines.join('\n')}\n`);
    }
    default:
      return problem(404, url.pathname);
  }
}

function isReplayed({ job, snapshots }: TrainerServiceOptions, range: LedgerRange): boolean {
  const document = snapshots.find(({ digest }) => digest === range.snapshot);
  if (!document) return false;
  const { epoch, from, draws } = range;
  const plan = drawPlan({
    digest: range.snapshot,
    drawUnits: document.cases.map((line) => Number(line.drawUnits)),
    seed: job.seed,
    epoch,
    drawsPerEpoch: Number(job.settings.drawsPerEpoch),
  });
  const places = Array.from(plan.subarray(from, from + draws));
  return ledgerDigest(places.map((place) => document.cases[place].id)) === range.digest;
}

function listening(answer: (request: Request) => Promise<Response>, port: number) {
  return new Promise<{ address: string; close: () => void }>((resolve) => {
    const server = serve({ fetch: answer, port, hostname: '127.0.0.1' }, (info) =>
      resolve({ address: `http://127.0.0.1:${info.port}`, close: () => server.close() }),
    );
  });
}

function problem(status: number, detail: string): Response {
  return Response.json(
    { type: 'about:blank', title: 'refused', status, detail },
    { status, headers: { 'content-type': 'application/problem+json' } },
  );
}
