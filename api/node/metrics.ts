// The numbers for Prometheus. Labels are routes, methods, states and names of launch targets, which
// are few whatever people send; nothing is named after a case, a dataset, a job or a person.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Counts, readCounts } from '../store/counts.ts';
import type { Database } from '../store/database.ts';
import type { RequestMeasure } from './requests.ts';
import type { TickMeasure } from './ticks.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

/** How long the database may take for what one scrape asks; Prometheus itself waits ten seconds. */
const databaseMs = 5_000;

export type Metrics = {
  request: RequestMeasure;
  tick: TickMeasure;
  /** Everything in the text format. Asks the database; where that fails the rest is there. */
  text: () => Promise<string>;
  contentType: string;
};

export function createMetrics(
  database: Database,
  { targets, version }: { targets: string[]; version: string },
): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'counterweight_build_info',
    help: 'Always 1; the label says which version runs.',
    labelNames: ['version'],
    registers,
  }).set({ version }, 1);
  const setDatabase = databaseGauges(registers, { database, targets });
  const counts = oneAtATime(() => readCounts(database.orm));
  return {
    request: requestMetrics(registers),
    tick: tickMetrics(registers),
    text: async () => {
      setDatabase(await withinTime(counts()));
      return await registry.metrics();
    },
    contentType: registry.contentType,
  };
}

function requestMetrics(registers: Registry[]): RequestMeasure {
  const durations = new Histogram({
    name: 'counterweight_http_request_seconds',
    help: 'Until the answer began, by route as OpenAPI writes it; "none": no such path.',
    labelNames: ['method', 'route', 'status'],
    buckets: seconds,
    registers,
  });
  const underWay = new Gauge({
    name: 'counterweight_http_requests_in_flight',
    help: 'Requests without an answer yet.',
    registers,
  });
  return () => {
    underWay.inc();
    return (answered) => {
      underWay.dec();
      const { route, status } = answered;
      const method = methods.includes(answered.method) ? answered.method : 'other';
      durations.observe({ method, route, status: String(status) }, answered.seconds);
    };
  };
}

function tickMetrics(registers: Registry[]): TickMeasure {
  const durations = new Histogram({
    name: 'counterweight_tick_seconds',
    help: 'reconcile: which jobs to ask about; engine: one launch target; see the README for others.',
    labelNames: ['tick'],
    buckets: seconds,
    registers,
  });
  const failures = new Counter({
    name: 'counterweight_tick_failures_total',
    help: 'Ticks that threw; the log has the cause.',
    labelNames: ['tick'],
    registers,
  });
  return ({ name, seconds: took, failed }) => {
    durations.observe({ tick: name }, took);
    failures.inc({ tick: name }, failed ? 1 : 0);
  };
}

type NewGauge = <Label extends string>(
  name: string,
  help: string,
  labelNames?: Label[],
) => Gauge<Label>;

function databaseGauges(
  registers: Registry[],
  { database, targets }: { database: Database; targets: string[] },
): (counts: Counts | undefined) => void {
  const gauge: NewGauge = (name, help, labelNames = []) =>
    new Gauge({ name: `counterweight_${name}`, help, labelNames, registers });
  const up = gauge('database_up', '1 where the database answered this scrape.');
  const connections = gauge('database_connections', 'Connections of the pool.', ['state']);
  const known = knownGauges(gauge, targets);
  return (counts) => {
    up.set(counts === undefined ? 0 : 1);
    const pool = database.connections?.();
    if (pool !== undefined) {
      connections.set({ state: 'idle' }, pool.idle);
      connections.set({ state: 'busy' }, pool.open - pool.idle);
      connections.set({ state: 'waiting' }, pool.waiting);
    }
    known(counts);
  };
}

/** What the database knows: absent where it does not say. */
function knownGauges(gauge: NewGauge, targets: string[]): (counts: Counts | undefined) => void {
  const labels = ['state', 'target'];
  const jobs = gauge(
    'jobs',
    'Jobs by state; a target that is no longer configured: other.',
    labels,
  );
  const attempts = gauge('attempts', 'Attempts of jobs by state.', labels);
  const deliveries = gauge('webhook_deliveries', 'Deliveries that did not arrive.', ['state']);
  const audit = gauge('audit_sequence', 'Entries of all audit chains. It never falls.');
  const unanchored = gauge('audit_chains_unanchored', 'Chains that went on since their anchor.');
  const named = (target: string) => (targets.includes(target) ? target : 'other');
  return (counts) => {
    for (const one of [jobs, attempts, deliveries, audit, unanchored]) one.reset();
    if (counts === undefined) {
      for (const one of [audit, unanchored]) one.remove();
      return;
    }
    for (const { state, target, count } of counts.jobs) {
      jobs.inc({ state, target: named(target) }, count);
    }
    for (const { state, target, count } of counts.attempts) {
      attempts.inc({ state, target: named(target) }, count);
    }
    deliveries.set({ state: 'pending' }, counts.deliveries.pending);
    deliveries.set({ state: 'dead' }, counts.deliveries.dead);
    audit.set(counts.auditEntries);
    unanchored.set(counts.chainsUnanchored);
  };
}

/** Undefined where the database fails or is too slow: a scrape has to end. */
async function withinTime(counts: Promise<Counts>): Promise<Counts | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, databaseMs, undefined);
  });
  try {
    return await Promise.race([counts.catch(() => undefined), late]);
  } finally {
    clearTimeout(timer);
  }
}

// A database that is slow is not asked a second time meanwhile.
function oneAtATime<Value>(ask: () => Promise<Value>): () => Promise<Value> {
  let underWay: Promise<Value> | undefined;
  return () => {
    underWay ??= ask().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
}
