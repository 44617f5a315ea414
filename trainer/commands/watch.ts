// counterweight watch JOB...: a bar, the newest loss beside it, and a line for every change of
// state, every validation, every monitor that fires and every switch of snapshots, until each job
// has ended. A service that is away for a while is waited for.

import { InvalidArgumentError } from 'commander';
import { gateFault, type MetricGate } from '../../api/contract/gates.ts';
import { endStates, type Job } from '../../api/contract/jobs.ts';
import { type Client, exitCodes, type Failure, failure } from '../client.ts';
import { gateOf } from './gate.ts';
import { type AddCommand, clientOf, type Io, type ServiceOptions, withService } from './io.ts';
import { type ProgressBoard, progressBoard } from './progress.ts';

export type { Job };

type Options = ServiceOptions & { timeout?: number; gate: MetricGate[] };

export const watch: AddCommand = (program, io) => {
  withService(program.command('watch <jobs...>'))
    .description('follow jobs until each has ended')
    .option('--timeout <seconds>', 'give up watching after this many seconds', secondsOf)
    .option('--gate <figure>=<least>', 'exit 4 where a figure of the job is lower', gateOf, [])
    .action(async (ids: string[], options: Options) => {
      const client = clientOf(io, options);
      if (ids.length === 1) return void (await watchJob(io, client, ids[0], options));
      const asked = ids.map((id) => ({ id, name: `job ${id}` }));
      const jobs = await watchJobs(io, client, asked, options);
      if (options.json) io.out(JSON.stringify(jobs));
    });
};

/** Seconds from the command line. */
export function secondsOf(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0) return value;
  throw new InvalidArgumentError('a number of seconds above 0 is needed');
}

/** Follows a job; says how it ended and sets the exit code by it. */
export async function watchJob(
  io: Io,
  client: Client,
  id: string,
  { timeout, gate, json }: Pick<Options, 'timeout' | 'gate' | 'json'>,
): Promise<Job> {
  const [job] = await watchJobs(io, client, [{ id, name: `job ${id}` }], { timeout, gate });
  if (json) io.out(JSON.stringify(job));
  return job;
}

/** Follows several jobs; says how each ended and sets the exit code by the worst of them. */
export async function watchJobs(
  io: Io,
  client: Client,
  asked: { id: string; name: string }[],
  { timeout, gate }: Pick<Options, 'timeout' | 'gate'>,
): Promise<Job[]> {
  const jobs = await followJobs(io, client, asked, { timeoutSeconds: timeout });
  const codes = jobs.map((job) => {
    io.say(jobSentence(job));
    if (!hasEnded(job)) return exitCodes.timedOut;
    if (job.state !== 'succeeded') return exitCodes.failed;
    const faults = gate.map((one) => gateFault(job, one)).filter((fault) => fault !== null);
    for (const fault of faults) io.say(asked.length > 1 ? `job ${job.id}: ${fault}` : fault);
    return faults.length > 0 ? exitCodes.gateNotMet : exitCodes.done;
  });
  const { failed, timedOut, gateNotMet } = exitCodes;
  const worst = [failed, timedOut, gateNotMet].find((code) => codes.includes(code));
  if (worst !== undefined) io.exitWith(worst);
  return jobs;
}

export const hasEnded = ({ state }: Pick<Job, 'state'>) => endStates.includes(state);

type Followed = { name: string; job: Job; after: number; loss: number | null };

const pollMs = 1_000;
const mostSilentPolls = 20; // each of them has its own retries: two minutes in all

/** Follows jobs until all have ended or the time is over; answers how they stand then. */
export async function followJobs(
  io: Io,
  client: Client,
  asked: { id: string; name: string }[],
  { timeoutSeconds = Infinity }: { timeoutSeconds?: number } = {},
): Promise<Job[]> {
  const giveUpAt = io.now() + timeoutSeconds * 1000;
  const followed: Followed[] = [];
  for (const { id, name } of asked) {
    const job = await client.ask('GET /v1/jobs/{id}', { path: { id } });
    followed.push({ name, job, after: 0, loss: null });
  }
  const board = progressBoard(
    io,
    followed.map(({ name, job }) => ({ name, total: stepsOf(job) })),
  );
  try {
    for (const one of followed) {
      tellMonitors(board, { ...one, job: { ...one.job, monitors: {} } }, one.job);
    }
    for (const one of followed)
      if (unstarted.includes(one.job.state)) tellDetail(board, one, one.job);
    let silent = 0;
    for (;;) {
      followed.forEach((one, row) => {
        board.update(row, one.job.progress?.step ?? 0, noteOf(one));
      });
      const over = followed.every(({ job }) => hasEnded(job)) || io.now() >= giveUpAt;
      if (over) return followed.map(({ job }) => job);
      await io.sleep(pollMs);
      silent = (await readAll(client, followed, board)) ? 0 : silent + 1;
      if (silent === 1) board.log(`no word from ${client.api}; waiting for it`);
      if (silent > mostSilentPolls) throw lostTouch(client, followed);
    }
  } finally {
    board.stop();
  }
}

const stepsOf = ({ settings: { epochs, drawsPerEpoch, batchSize } }: Job) =>
  (epochs * drawsPerEpoch) / batchSize;

function noteOf({ job, loss }: Followed): string {
  return loss === null ? job.state : `${job.state}, loss ${loss.toFixed(3)}`;
}

// True where the service answered; a refusal (no such job, no valid token) is thrown.
async function readAll(
  client: Client,
  followed: Followed[],
  board: ProgressBoard,
): Promise<boolean> {
  try {
    for (const one of followed) if (!hasEnded(one.job)) await readOne(client, one, board);
    return true;
  } catch (error) {
    if ((error as Failure).exitCode !== exitCodes.failed) throw error;
    return false;
  }
}

async function readOne(client: Client, one: Followed, board: ProgressBoard): Promise<void> {
  const path = { id: one.job.id };
  const job = await client.ask('GET /v1/jobs/{id}', { path });
  if (job.state !== one.job.state) board.log(`${one.name}: ${stateSentence(job)}`);
  if (job.verifiedDraws.mismatch > one.job.verifiedDraws.mismatch) {
    board.log(`${one.name}: an epoch's draws are not the planned ones`);
  }
  tellMonitors(board, one, job);
  tellEngine(board, one, job);
  for (const { digest, fromEpoch, cause } of newStages(one.job, job)) {
    board.log(`${one.name}: draws by ${digest} from epoch ${fromEpoch} on (${cause})`);
  }
  one.job = job;
  const query = { after: one.after, limit: 5000 };
  const { items } = await client.ask('GET /v1/jobs/{id}/metrics', { path, query });
  for (const { sequence, name, value, step, group, class: label } of items) {
    one.after = sequence;
    if (group !== null || label !== null) continue;
    if (name === 'loss') one.loss = value;
    if (name === 'diceMean') {
      board.log(`${one.name}: validated after step ${step}, mean Dice ${value.toFixed(3)}`);
    }
  }
}

// A line for each monitor that has fired since the job was last read.
function tellMonitors(board: ProgressBoard, { name, job: before }: Followed, job: Job): void {
  for (const monitor of Object.keys(job.monitors) as (keyof Job['monitors'])[]) {
    const { findings, sentence, action } = job.monitors[monitor]!;
    if (findings === (before.monitors[monitor]?.findings ?? 0)) continue;
    board.log(`${name}: monitor ${monitor} (${action}): ${sentence}`);
  }
}

// Why a job waits, in the words of its engine; and that another attempt follows on one that failed.
function tellEngine(board: ProgressBoard, { name, job: before }: Followed, job: Job): void {
  const [last, previous] = [job.attempts.at(-1), job.attempts.at(-2)];
  if (previous !== undefined && job.attempts.length > before.attempts.length) {
    board.log(
      `${name}: attempt ${last?.attempt} follows, the one before ${stateSentence(previous)}`,
    );
  }
  if (detailOf(job) !== detailOf(before)) tellDetail(board, { name }, job);
}

function tellDetail(board: ProgressBoard, { name }: Pick<Followed, 'name'>, job: Job): void {
  const detail = detailOf(job);
  if (detail !== undefined) board.log(`${name}: ${job.target}: ${detail}`);
}

const unstarted: readonly Job['state'][] = ['created', 'submitting', 'queued', 'starting'];

function detailOf({ attempts }: Pick<Job, 'attempts'>): string | undefined {
  return attempts.at(-1)?.observation?.detail as string | undefined;
}

/** What was last heard of where a job stands, to end a sentence with; empty where nothing. */
export function lastHeard({ attempts }: Pick<Job, 'attempts'>): string {
  const detail = detailOf({ attempts })?.replace(/\.$/, '') ?? '';
  return attempts.at(-1)?.observation?.state === 'waiting' ? `it ${detail}` : detail;
}

/** The state of a job and, where it has not ended, what was last heard of it. */
export function standsAt(job: Job): string {
  const heard = hasEnded(job) ? '' : lastHeard(job);
  return heard === '' ? stateSentence(job) : `${stateSentence(job)}: ${heard}`;
}

// A ramp may begin at epoch 0, in the place of the snapshot that the job was launched with.
function newStages(before: Job, now: Job): Job['snapshots'] {
  const known = new Set(before.snapshots.map(({ digest, fromEpoch }) => `${fromEpoch} ${digest}`));
  return now.snapshots.filter(({ digest, fromEpoch }) => !known.has(`${fromEpoch} ${digest}`));
}

const stateSentence = ({ state, reason }: Pick<Job, 'state' | 'reason'>): string =>
  reason === null ? state : `${state} (${reason.code}: ${reason.detail})`;

function lostTouch(client: Client, followed: Followed[]): Failure {
  const ids = followed.map(({ job }) => job.id).join(' ');
  return failure(
    `${client.api} does not answer any more. Jobs go on without it; when it is back, see how they stand with: counterweight watch ${ids}`,
  );
}

/** How a job stands, in one line. */
export function jobSentence(job: Job): string {
  const { verified, partial, mismatch } = job.verifiedDraws;
  return `job ${job.id} ${standsAt(job)}; epochs verified ${verified}, partial ${partial}, mismatch ${mismatch}`;
}
