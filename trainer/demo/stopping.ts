// Ctrl-C at any moment: the demo stops where it is, cancels the jobs that it launched, waits until
// their trainers have ended, and only then ends the service. Nothing of it stays behind.

import type { Client } from '../client.ts';
import { hasEnded, type Job } from '../commands/watch.ts';
import type { DemoService } from './service.ts';

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type StopRequest = {
  /** Resolves with the signal when somebody asks to stop; never rejects. */
  asked: Promise<string>;
  forget: () => void;
};

/** Listens for signals; npm may send the same one again, so all of them are one request. */
export function stopRequest(process: Pick<NodeJS.Process, 'on' | 'off'>): StopRequest {
  let ask: (signal: string) => void = () => {};
  const asked = new Promise<string>((resolve) => {
    ask = resolve;
  });
  for (const signal of signals) process.on(signal, ask);
  return {
    asked,
    forget: () => {
      for (const signal of signals) process.off(signal, ask);
    },
  };
}

export const stopped = Symbol('stopped');

/** The result of some work, or `stopped` as soon as somebody asks to stop. */
export async function unlessStopped<Result>(
  { asked }: StopRequest,
  work: Promise<Result>,
): Promise<Result | typeof stopped> {
  return await Promise.race([work, asked.then((): typeof stopped => stopped)]);
}

const mostWaits = 60;

/** Cancels what has not ended, waits for the trainers, then ends the service. */
export async function endAll(
  { client, service, jobs }: { client: Client; service: DemoService; jobs: Promise<string>[] },
  around: { say: (line: string) => void; sleep: (milliseconds: number) => Promise<void> },
): Promise<void> {
  for (const job of await Promise.allSettled(jobs)) {
    if (job.status === 'rejected') continue;
    const id = job.value;
    try {
      await endJob(client, id, around.sleep);
    } catch (cause) {
      around.say(`job ${id} could not be cancelled: ${(cause as Error).message}`);
      around.say(`  its trainer may go on; its process is named below ${service.dataDir}/launches`);
    }
  }
  await service.stop();
}

async function endJob(
  client: Client,
  id: string,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<void> {
  const path = `/v1/jobs/${id}`;
  let job = await client.call<Job>('GET', path);
  if (hasEnded(job)) return;
  await client.call('POST', `${path}/cancel`, { reason: 'the demo was stopped' });
  for (let waits = 0; !hasEnded(job); waits++) {
    if (waits === mostWaits) throw new Error(`it still is ${job.state} after ${waits} seconds`);
    await sleep(1_000);
    job = await client.call<Job>('GET', path);
  }
}
