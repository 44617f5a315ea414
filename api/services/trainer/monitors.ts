// What a report says to the monitors that a job asked for. Judged before the report is stored, from
// the history and the report together, and stored with it: a report sent twice finds nothing new.

import type { MonitorState, MonitorStates } from '../../contract/monitors.ts';
import {
  type Monitor,
  type MonitorName,
  type Monitors,
  monitorDefaults,
} from '../../contract/settings.ts';
import type { Metric } from '../../contract/trainer.ts';
import type { Deps } from '../../deps.ts';
import type { AuditEntry } from '../../store/audit.ts';
import { type LedgerRow, listLastRanges } from '../../store/draw-ledger.ts';
import { listEventsOfKind } from '../../store/job-events.ts';
import { listLastPoints, listPoints } from '../../store/metrics.ts';
import type { MonitorNews } from '../../store/reports.ts';
import { stepMetricNames, stepsBefore } from '../../weights/instability.ts';
import type { Finding, History, Range, Verdict } from '../../weights/monitor-history.ts';
import { findingKey, monitorVerdict } from '../../weights/monitors.ts';
import type { TrainerSession } from './session.ts';

type Reported = { metrics: Metric[]; ledger: LedgerRow[]; at: Date };
type Named = { name: MonitorName; monitor: Required<Monitor> };

/** The metrics of a report that a monitor reads; none: the report says nothing to it. */
const reads: Record<MonitorName, (metric: Metric) => boolean> = {
  sampledCaseOverfit: ({ name, group }) =>
    (name === 'validationLoss' || name === 'caseLoss') && isDecile(group),
  groupRegression: ({ name, group }) => name === 'diceMean' && group !== undefined,
  calibrationDrift: ({ name, group }) => name === 'volumeRatio' && group === undefined,
  instability: ({ name, group }) =>
    stepMetricNames.some((known) => known === name) && group === undefined,
  drawMismatch: () => false,
};

const isDecile = (group: string | undefined) => group?.startsWith('scoreDecile=') ?? false;

/** A job's monitors with what holds where it says nothing. */
export function monitorsOf(monitors: Monitors): Named[] {
  return (Object.keys(monitors) as MonitorName[]).map((name) => ({
    name,
    monitor: { ...monitorDefaults[name], ...monitors[name] },
  }));
}

/** What the monitors say of a report that is about to be stored; null where none was spoken to. */
export async function monitorNews(
  deps: Deps,
  session: TrainerSession,
  reported: Reported,
): Promise<MonitorNews | null> {
  const { job } = session;
  const spokenTo = monitorsOf(job.monitors).filter(({ name }) =>
    name === 'drawMismatch' ? reported.ledger.length > 0 : reported.metrics.some(reads[name]),
  );
  if (spokenTo.length === 0) return null;
  const news: MonitorNews = {
    states: { ...job.monitorStates },
    findings: [],
    stop: null,
    revert: null,
  };
  for (const named of spokenTo) {
    const verdict = await verdictOf(deps, session, { reported, named });
    const findings = await newFindings(deps, job.id, { named, verdict });
    news.states[named.name] = stateAfter(news.states[named.name], verdict, findings);
    for (const finding of findings) {
      const detail = { monitor: named.name, ...named.monitor, ...finding };
      news.findings.push({ detail, entry: entryFor(session, { detail, at: reported.at }) });
      const { sentence } = finding;
      if (named.monitor.action === 'stop') news.stop ??= stopFor(named.name, finding);
      if (named.monitor.action === 'revert') news.revert ??= { monitor: named.name, sentence };
    }
  }
  return news;
}

async function verdictOf(
  deps: Deps,
  { job, attempt: { attempt } }: TrainerSession,
  { reported, named: { name, monitor } }: { reported: Reported; named: Named },
): Promise<Verdict> {
  const { orm } = deps.database;
  if (name === 'drawMismatch') {
    const limit = Math.max(monitor.patience, Math.ceil(monitor.threshold));
    const before = await listLastRanges(orm, { jobId: job.id, limit });
    const ranges = [...before, ...reported.ledger].map(({ fromDraw: from, ...row }) => ({
      ...row,
      from,
    }));
    const of = (some: Range[]) => monitorVerdict(name, { points: [], ranges: some }, monitor);
    const known = new Set(of(ranges.slice(0, before.length)).findings.map(findingKey));
    return only(of(ranges), (finding) => !known.has(findingKey(finding)));
  }
  const added = reported.metrics.filter(reads[name]).map(({ epoch, group, ...metric }) => ({
    ...metric,
    attempt,
    epoch: epoch ?? null,
    group: group ?? null,
  }));
  const points = [...(await pointsBefore(deps, job.id, { name, monitor })), ...added];
  const history: History = { points, ranges: [] };
  const verdict = monitorVerdict(name, history, monitor);
  // A window says nothing of the steps that lie before the report.
  const first = Math.min(...added.map(({ step }) => step));
  return only(verdict, ({ step }) => (step as number) >= first);
}

const only = (verdict: Verdict, isNew: (finding: Finding) => boolean): Verdict => ({
  ...verdict,
  findings: verdict.findings.filter(isNew),
});

async function pointsBefore(deps: Deps, jobId: string, { name, monitor }: Named) {
  const { orm } = deps.database;
  if (name === 'instability') {
    const names = stepMetricNames;
    const limit = stepsBefore(monitor);
    return await listLastPoints(orm, jobId, { names, groups: 'none', limit });
  }
  if (name === 'calibrationDrift') {
    return await listPoints(orm, jobId, { names: ['volumeRatio'], groups: 'none' });
  }
  if (name === 'groupRegression') {
    return await listPoints(orm, jobId, { names: ['diceMean'], groups: 'some' });
  }
  const names = ['caseLoss', 'validationLoss'];
  return await listPoints(orm, jobId, { names, groups: { prefix: 'scoreDecile=' } });
}

// An attempt that began again at a checkpoint repeats what the one before had found.
async function newFindings(
  deps: Deps,
  jobId: string,
  { named: { name }, verdict }: { named: Named; verdict: Verdict },
): Promise<Finding[]> {
  if (verdict.findings.length === 0) return [];
  const events = await listEventsOfKind(deps.database.orm, { jobId, kind: 'monitorFired' });
  const known = new Set(
    events
      .filter(({ detail }) => detail.monitor === name)
      .map(({ detail }) => findingKey(detail as unknown as Finding)),
  );
  return verdict.findings.filter((finding) => !known.has(findingKey(finding)));
}

const untouched: MonitorState = {
  state: 'quiet',
  active: false,
  findings: 0,
  value: null,
  subject: null,
  epoch: null,
  step: null,
  sentence: null,
};

/** How a monitor stands that nothing was said to yet, or as it was stored. */
export function monitorState(states: MonitorStates, name: MonitorName): MonitorState {
  return states[name] ?? untouched;
}

function stateAfter(
  before: MonitorState = untouched,
  { value, fired }: Verdict,
  findings: Finding[],
): MonitorState {
  const count = before.findings + findings.length;
  const latest = findings.at(-1);
  if (latest !== undefined) {
    const { subject, epoch, step, sentence } = latest;
    const finding = { value: latest.value, subject, epoch, step, sentence };
    return { state: 'fired', active: fired, findings: count, ...finding };
  }
  return { ...before, active: fired, value: before.state === 'fired' ? before.value : value };
}

function entryFor(
  { job, attempt }: TrainerSession,
  { detail, at }: { detail: { sentence: string }; at: Date },
): AuditEntry {
  return {
    workspaceId: job.workspaceId,
    at,
    actor: 'service',
    action: 'job.monitor-fired',
    subject: `job/${job.id}`,
    reason: detail.sentence,
    detail: { attempt: attempt.attempt, ...detail },
  };
}

function stopFor(monitor: MonitorName, { sentence }: Finding): MonitorNews['stop'] {
  const code = monitor === 'instability' ? 'instability' : 'user';
  const detail = `the monitor ${monitor} of this job stops it: ${sentence}`;
  return { monitor, reason: { code, detail } };
}
