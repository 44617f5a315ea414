// The trainer's side of the protocol: one client that outlasts restarts of the service, and a
// reporter that buffers, numbers and sends. One report is under way at a time; the rest waits.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { typedClient } from '../api/contract/client.ts';
import { problemOf } from '../api/contract/problems.ts';
import { type Send, senderOf } from '../api/contract/sending.ts';
import {
  type FinishInput,
  type ReportAnswer,
  type ReportInput,
  reportAnswerSchema,
  type SnapshotDocument,
  snapshotDocumentSchema,
  type TrainerCase,
  type TrainerJob,
  trainerCaseSchema,
  trainerJobSchema,
} from '../api/contract/trainer.ts';
import { writeAtomically } from './checkpoint.ts';
import { type Content, splitContent } from './report-parts.ts';
import { exitCodes, TrainerError } from './settings.ts';

/** Time as the trainer sees it; tests pass their own. `every` answers a function that ends it. */
export type Clock = {
  now: () => number;
  sleep: (ms: number) => Promise<void>;
  every: (ms: number, action: () => void) => () => void;
  random: () => number;
};

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  every: (ms, action) => {
    const timer = setInterval(action, ms);
    timer.unref();
    return () => clearInterval(timer);
  },
  random: Math.random,
};

export type Service = {
  readJob: () => Promise<TrainerJob>;
  readSnapshot: (digest: string) => Promise<SnapshotDocument>;
  readCases: () => Promise<TrainerCase[]>;
  report: (body: ReportInput) => Promise<ReportAnswer>;
  finish: (body: FinishInput) => Promise<void>;
};

export type ServiceOptions = {
  api: string;
  token: string;
  fetch: typeof fetch;
  clock: Clock;
  retryForMs?: number;
  say?: (line: string) => void;
};

/** Longest that a request is repeated while the service does not answer: an hour. */
export const defaultRetryForMs = 3_600_000;

/** Longest that one answer may take, a snapshot of a million cases over a slow line included. */
const longestTryMs = 1_800_000;

/** The service as the trainer sees it. Every request is repeated until `retryForMs` have passed. */
export function connectService(options: ServiceOptions): Service {
  const ask = patientSender(options);
  const client = typedClient(ask);
  return {
    readJob: async () => readJob(await client.ask('GET /v1/trainer/job')),
    readSnapshot: async (digest) =>
      snapshotDocumentSchema.parse(
        await client.ask('GET /v1/trainer/snapshot', { query: { digest } }),
      ),
    readCases: async () => {
      const headers = { accept: 'application/x-ndjson' };
      const text = await (await ask('GET', '/v1/trainer/cases', { headers })).text();
      const lines = text.split('\n').filter((line) => line.trim() !== '');
      return lines.map((line) => trainerCaseSchema.parse(JSON.parse(line)));
    },
    report: async (body) =>
      reportAnswerSchema.parse(await client.ask('POST /v1/trainer/reports', { body })),
    finish: async (body) => {
      await client.ask('POST /v1/trainer/finish', { body });
    },
  };
}

function readJob(body: unknown): TrainerJob {
  const parsed = trainerJobSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new TrainerError(`the job cannot be run: ${faults.join('; ')}`, exitCodes.configuration);
}

/** Everything may be repeated: the service counts sequences and takes one finish. */
function patientSender(options: ServiceOptions): Send {
  const { api, token, fetch, clock, say = () => {} } = options;
  const send = senderOf({
    api,
    token,
    fetch,
    ...clock,
    patience: { forMs: options.retryForMs ?? defaultRetryForMs },
    timeoutMs: longestTryMs,
    whole: true,
    longestAskedMs: 300_000,
    mayRepeat: () => true,
    mayPass: ({ status }) => isPassing(status),
    onRetry: (path, trouble, waitMs) =>
      say(`${path}: ${trouble}; trying again in ${(waitMs / 1000).toFixed(1)} s`),
  });
  return async (method, path, given) => {
    const tooLong = (trouble: string) =>
      new TrainerError(`${api}${path} has not answered for too long: ${trouble}`);
    const answer = await send(method, path, given).catch((error: Error) => {
      throw tooLong(error.message);
    });
    if (answer.ok) return answer;
    if (isPassing(answer.status)) throw tooLong(`status ${answer.status}`);
    throw await refusal(answer, method, path);
  };
}

function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

async function refusal(answer: Response, method: string, path: string): Promise<TrainerError> {
  const { detail } = await problemOf(answer);
  if (answer.status === 409 && method === 'POST') {
    return new TrainerError(`this attempt was revoked: ${detail}`, exitCodes.revoked);
  }
  const what = `${method} ${path} was refused with ${answer.status}: ${detail}`;
  return new TrainerError(what, path === '/v1/trainer/job' ? exitCodes.configuration : undefined);
}

export type Reporter = {
  add: (content: Partial<Content>) => void;
  log: (line: string) => void;
  flush: () => Promise<ReportAnswer>;
  failure: () => TrainerError | null;
  stopAsked: () => boolean;
  close: () => void;
};

export type ReporterOptions = {
  service: Pick<Service, 'report'>;
  clock: Clock;
  outPath: string;
  attempt: number;
  nextSequence: number;
  heartbeatMs?: number;
  sendEveryMs?: number;
};

const logTail = 16_384;

/**
 * Buffers what is added and sends it every few seconds, at every heartbeat, and on `flush`, whose
 * answer is the one to the last report of what had been added, with the latest snapshot that any
 * answer named. Nothing is dropped while the service
 * is away; when it refuses or revokes, `failure` says so and `flush` throws.
 */
export function createReporter(options: ReporterOptions): Reporter {
  const { clock, service, sendEveryMs = 5_000 } = options;
  const sequenceFile = join(options.outPath, `sequence-${options.attempt}.json`);
  let sequence = Math.max(options.nextSequence, storedSequence(sequenceFile));
  let waiting: Content = { metrics: [], caseLosses: [], ledger: [] };
  let logText = '';
  let lastSentAt = clock.now();
  let stop = false;
  // The answer to an epoch's ledger may come to a report that was sent in passing.
  let snapshot: ReportAnswer['snapshot'];

  const { flush, failure, flushIfIdle } = oneAtATime(async (): Promise<ReportAnswer> => {
    const content = waiting;
    const log = logText;
    waiting = { metrics: [], caseLosses: [], ledger: [] };
    logText = '';
    lastSentAt = clock.now();
    let answer: ReportAnswer | null = null;
    for (const body of splitContent(content, log)) {
      await writeAtomically(sequenceFile, JSON.stringify({ next: sequence + 1 }));
      answer = await service.report({ sequence, ...body });
      sequence += 1;
      stop ||= answer.stop;
      snapshot = answer.snapshot ?? snapshot;
    }
    return snapshot === undefined ? answer! : { ...answer!, snapshot };
  });
  const endHeartbeat = clock.every(options.heartbeatMs ?? 30_000, flushIfIdle);

  return {
    add: ({ metrics = [], caseLosses = [], ledger = [], ...latest }) => {
      for (const metric of metrics) if (Number.isFinite(metric.value)) waiting.metrics.push(metric);
      const finite = caseLosses.filter(({ loss }) => Number.isFinite(loss));
      waiting.caseLosses = waiting.caseLosses.concat(finite);
      waiting.ledger.push(...ledger);
      Object.assign(waiting, latest);
      if (clock.now() - lastSentAt >= sendEveryMs) flushIfIdle();
    },
    log: (line) => {
      logText = `${logText}${line}\n`.slice(-logTail);
    },
    flush,
    failure,
    stopAsked: () => stop,
    close: endHeartbeat,
  };
}

/** One call of `send` at a time; the first failure is kept, and nothing is sent after it. */
function oneAtATime(send: () => Promise<ReportAnswer>) {
  let failed: TrainerError | null = null;
  let underWay: Promise<unknown> | null = null;
  const flush = async (): Promise<ReportAnswer> => {
    while (underWay) await underWay.catch(() => {});
    if (failed) throw failed;
    const sending = send();
    underWay = sending;
    try {
      return await sending;
    } catch (error) {
      failed = error instanceof TrainerError ? error : new TrainerError(String(error), 1, error);
      throw failed;
    } finally {
      underWay = null;
    }
  };
  const flushIfIdle = () => {
    if (!underWay && !failed) flush().catch(() => {}); // kept as `failure`, which the loop reads
  };
  return { flush, flushIfIdle, failure: () => failed };
}

function storedSequence(path: string): number {
  if (!existsSync(path)) return 0;
  try {
    return Number(JSON.parse(readFileSync(path, 'utf8')).next) || 0;
  } catch {
    return 0;
  }
}
