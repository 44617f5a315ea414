// A step from its inputs to its end: who it is, what it launches, what became of that. And the step
// after it, for what a killed step could not cancel.

import * as core from '@actions/core';
import type { Job } from '../../api/contract/jobs.ts';
import type { RenewableToken } from '../../api/contract/sending.ts';
import { cancelJobs } from './cancel.ts';
import { type Fold, foldsOf } from './comparison.ts';
import { eventOf, type RunEvent } from './event.ts';
import { exitCodes, failure } from './failure.ts';
import { followJobs, hasEnded, nameOf, stateText } from './follow.ts';
import { type Inputs, inputsOf } from './inputs.ts';
import { bodyOf, type Launch, launch } from './launch.ts';
import { report, setOutputs } from './output.ts';
import { gateFaults, stateOf } from './results.ts';
import { type Service, serviceOf, type World } from './service.ts';
import { hasIdTokens, noCredentials, type Sessions, sessionsOf } from './session.ts';
import type { Told } from './summary.ts';

/** How long a launch that is under way is waited for once the workflow is cancelled. */
const launchGraceMs = 3_000;
const killedCancelMs = 60_000;

const readInputs = () => inputsOf((name) => core.getInput(name));

/** Runs a step until the end of its jobs, or until `stop`; throws where it fails. */
export async function runStep(world: World, stop: AbortSignal): Promise<void> {
  const inputs = readInputs();
  const event = eventOf(world.env, inputs.matrix);
  const sessions = tokenOf(world, inputs);
  if (sessions === null) {
    if (!event.isFork) throw noCredentials();
    return await skip(world, inputs, event);
  }
  const { api, source } = inputs;
  const token = sessions;
  const service = serviceOf(world, { api, token, signal: stop });
  const launched = await launchOnce(world, { inputs, event, token, stop });
  const jobs = 'jobs' in launched ? launched.jobs : [];
  if (jobs.length > 0 && inputs.wait) core.saveState('jobs', JSON.stringify(jobs.map(idOf)));
  const told: Told = {
    state: 'requests' in launched ? 'dryRun' : stateOf(jobs),
    notes: [],
    jobs,
    folds: await comparedFolds(service, { source, compareTo: inputs.compareTo }, jobs),
    requests: 'requests' in launched ? launched.requests : [],
    api,
    runUrl: event.runUrl,
  };
  setOutputs(told);
  if ('requests' in launched) told.notes.push(dryRunNote(event));
  if ('requests' in launched || (!inputs.wait && !stop.aborted)) {
    return await report(world, inputs, event, told);
  }
  await seeThrough(world, { inputs, event, service, token, told, stop });
}

const idOf = ({ id }: Job) => id;

function tokenOf(world: World, inputs: Inputs): string | Sessions | null {
  if (inputs.token === null) {
    return hasIdTokens(world) ? sessionsOf(world, inputs, core.setSecret) : null;
  }
  core.setSecret(inputs.token);
  return inputs.token;
}

function dryRunNote({ isPullRequest }: RunEvent): string {
  const why = isPullRequest ? ': runs of pull requests see what would be launched' : '';
  return `Dry run, nothing was launched${why}.`;
}

async function skip(world: World, inputs: Inputs, event: RunEvent): Promise<void> {
  const note =
    'This pull request comes from a fork, whose runs have no way to prove who they are: nothing was asked and nothing was launched.';
  core.notice(note);
  const nothing = { jobs: [], folds: [], requests: [], api: inputs.api, runUrl: event.runUrl };
  const told: Told = { state: 'skipped', notes: [note], ...nothing };
  setOutputs(told);
  await report(world, { ...inputs, comment: false }, event, told);
}

type Launching = {
  inputs: Inputs;
  event: RunEvent;
  token: string | Sessions;
  stop: AbortSignal;
};

async function launchOnce(world: World, asked: Launching): Promise<Launch> {
  const { inputs, event, token, stop } = asked;
  core.startGroup('Launch');
  try {
    const trusted = typeof token === 'string' ? null : await token.session();
    const dryRun = inputs.dryRun || event.isPullRequest || trusted?.dryRunOnly === true;
    const body = bodyOf(inputs, event, dryRun);
    const service = serviceOf(world, {
      api: inputs.api,
      token,
      patience: { tries: 8 },
      timeoutMs: 120_000,
      onRetry: (path, trouble, waitMs) =>
        world.log(`${path}: ${trouble}; trying again in ${(waitMs / 1000).toFixed(1)} s`),
    });
    const signal = signalAfter(stop, launchGraceMs);
    const launched = await launch(service, { body, event, key: inputs.key, signal });
    if ('jobs' in launched) {
      for (const job of launched.jobs) {
        world.log(`fold ${job.snapshot.fold}: job ${job.id} is ${stateText(job)}`);
        world.log(`  snapshot ${job.snapshot.digest}`);
      }
    }
    return launched;
  } catch (error) {
    if (!stop.aborted) throw error;
    throw failure(
      'cancelled while the service was asked to launch: whether it did is not known. counterweight jobs lists what runs',
      exitCodes.failed,
    );
  } finally {
    core.endGroup();
  }
}

/** Aborts so long after another signal. */
function signalAfter(signal: AbortSignal, milliseconds: number): AbortSignal {
  const later = new AbortController();
  const wait = () => setTimeout(() => later.abort(), milliseconds).unref();
  if (signal.aborted) wait();
  else signal.addEventListener('abort', wait, { once: true });
  return later.signal;
}

// Only the summary needs it, and the jobs run already.
async function comparedFolds(
  service: Service,
  asked: Pick<Inputs, 'source' | 'compareTo'>,
  jobs: readonly Job[],
): Promise<Fold[]> {
  try {
    return await foldsOf(service, asked, jobs);
  } catch (error) {
    core.warning(`what changed in the draws is not known: ${(error as Error).message}`);
    return [];
  }
}

type Watch = Launching & { service: Service; told: Told };

async function seeThrough(world: World, watch: Watch): Promise<void> {
  const { inputs, event, service, token, told, stop } = watch;
  const { pollMs, timeoutMs } = inputs;
  core.startGroup(told.jobs.length === 1 ? 'Job' : `${told.jobs.length} jobs`);
  const followed = await followJobs(world, service, told.jobs, { pollMs, timeoutMs, stop }).finally(
    core.endGroup,
  );
  told.jobs = followed.jobs;
  if (followed.end === 'ended') return await conclude(world, watch);
  const cut = followed.end === 'timedOut';
  const why = cut ? `the time-out of ${inputs.timeoutMs / 1000} s` : 'the cancelled workflow';
  const noted = await cancelAll(world, { api: inputs.api, token }, told, why, event);
  told.state = cut ? 'timedOut' : 'cancelled';
  told.notes.push(...noted);
  setOutputs(told);
  await report(world, cut ? inputs : { ...inputs, comment: false }, event, told);
  throw failure(noted.join('\n'), cut ? exitCodes.timedOut : exitCodes.failed);
}

async function cancelAll(
  world: World,
  service: { api: string; token: string | RenewableToken },
  told: Told,
  why: string,
  event: RunEvent,
): Promise<string[]> {
  const left = told.jobs.filter((job) => !hasEnded(job));
  const reason = `${why}: ${event.runUrl}`;
  const { jobs, faults } = await cancelJobs(world, service, { ids: left.map(idOf), reason });
  told.jobs = told.jobs.map((job) => jobs.find(({ id }) => id === job.id) ?? job);
  if (faults.length === 0) core.saveState('jobs', '[]');
  return [`${jobs.map(idOf).join(', ') || 'nothing'} cancelled because of ${why}`, ...faults];
}

async function conclude(world: World, { inputs, event, told }: Watch): Promise<void> {
  core.saveState('jobs', '[]');
  const { jobs } = told;
  told.state = stateOf(jobs);
  const weak = told.state === 'succeeded' ? gateFaults(jobs, inputs.conditions) : [];
  const ended = jobs
    .filter(({ state }) => state !== 'succeeded')
    .map((job) => `${nameOf(job, jobs)} ${stateText(job)}`);
  told.notes.push(...ended, ...weak);
  setOutputs(told);
  await report(world, inputs, event, told);
  if (ended.length > 0) throw failure(ended.join('\n'), exitCodes.failed);
  if (weak.length > 0) throw failure(weak.join('\n'), exitCodes.gateNotMet);
  world.log(`${jobs.map((job) => nameOf(job, jobs)).join(', ')} succeeded`);
}

/** After the job's steps: cancels what its step was killed over, or failed before it had ended. */
export async function afterStep(world: World): Promise<void> {
  const ids = JSON.parse(core.getState('jobs') || '[]') as string[];
  if (ids.length === 0) return;
  const inputs = readInputs();
  const token = tokenOf(world, inputs);
  if (token === null) throw noCredentials();
  const { runUrl } = eventOf(world.env, inputs.matrix);
  const reason = `its step ended before it did: ${runUrl}`;
  const asked = { ids, reason, withinMs: killedCancelMs };
  const { jobs, faults } = await cancelJobs(world, { api: inputs.api, token }, asked);
  for (const job of jobs) world.log(`job ${job.id} is ${stateText(job)}`);
  if (faults.length > 0) throw failure(faults.join('\n'), exitCodes.failed);
}
