// counterweight watch JOB: progress, state changes and validation until the job has ended.

import { type Client, exitCodes } from '../client.ts';
import {
  type AddCommand,
  clientOf,
  type Io,
  progress,
  type ServiceOptions,
  withService,
} from './io.ts';

export type Job = {
  id: string;
  state: string;
  reason: { code: string; detail: string } | null;
  progress: { step: number; steps: number } | null;
  settings: { epochs: number; drawsPerEpoch: number; batchSize: number };
  verifiedDraws: { verified: number; partial: number; mismatch: number };
  summary: Record<string, unknown> | null;
};

const ended = new Set(['succeeded', 'failed', 'cancelled', 'timedOut', 'lost']);
const pollMs = 1_000;

export const hasEnded = ({ state }: Job) => ended.has(state);

export const watch: AddCommand = (program, io) => {
  withService(program.command('watch <job>'))
    .description('follow a job until it has ended')
    .option('--timeout <seconds>', 'give up watching after this many seconds', Number)
    .action(async (id: string, options: ServiceOptions & { timeout?: number }) => {
      const job = await watchJob(io, clientOf(io, options), id, options.timeout);
      if (options.json) io.out(JSON.stringify(job));
    });
};

/** Follows a job; sets the exit code by how it ended. */
export async function watchJob(
  io: Io,
  client: Client,
  id: string,
  timeoutSeconds = Infinity,
): Promise<Job> {
  const path = `/v1/jobs/${id}`;
  let job = await client.call<Job>('GET', path);
  const { epochs, drawsPerEpoch, batchSize } = job.settings;
  const bar = progress(io, `job ${id}`, (epochs * drawsPerEpoch) / batchSize);
  let waited = 0;
  while (!hasEnded(job) && waited < timeoutSeconds * 1000) {
    bar.update(job.progress?.step ?? 0, job.state);
    await io.sleep(pollMs);
    waited += pollMs;
    job = await client.call<Job>('GET', path);
  }
  bar.update(job.progress?.step ?? 0, job.state);
  bar.stop();
  io.say(jobSentence(job));
  if (!hasEnded(job)) io.exitWith(exitCodes.timedOut);
  else if (job.state !== 'succeeded') io.exitWith(exitCodes.failed);
  return job;
}

/** How a job stands, in one line. */
export function jobSentence({ id, state, reason, verifiedDraws: d }: Job): string {
  const why = reason === null ? '' : ` (${reason.code}: ${reason.detail})`;
  return `job ${id} ${state}${why}; epochs verified ${d.verified}, partial ${d.partial}, mismatch ${d.mismatch}`;
}
