// Ctrl-C at any moment: the demo stops where it is, cancels every job of its service (others may
// have launched some there), waits for their trainers, and only then ends the service.

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

/** Once launches have settled: cancels what runs, waits for the trainers, ends the service. */
export async function endAll(
  {
    client,
    service,
    launching,
  }: { client: Client; service: DemoService; launching: Promise<string>[] },
  around: { say: (line: string) => void; sleep: (milliseconds: number) => Promise<void> },
): Promise<void> {
  await Promise.allSettled(launching);
  for (const cause of await endJobs(client, around.sleep)) {
    around.say(`jobs could not be cancelled: ${cause}`);
    around.say(`  trainers may go on; their processes are named in ${service.dataDir}/launches`);
  }
  await service.stop();
}

async function endJobs(
  client: Client,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<string[]> {
  try {
    const { items } = await client.call<{ items: Job[] }>('GET', '/v1/jobs?limit=500');
    const running = items.filter((job) => !hasEnded(job));
    const ends = await Promise.allSettled(running.map(({ id }) => endJob(client, id, sleep)));
    return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason.message] : []));
  } catch (cause) {
    return [(cause as Error).message];
  }
}

async function endJob(
  client: Client,
  id: string,
  sleep: (milliseconds: number) => Promise<void>,
): Promise<void> {
  const path = `/v1/jobs/${id}`;
  const cancelled = client.call('POST', `${path}/cancel`, { reason: 'the demo was stopped' });
  const refusal = await cancelled.then(
    () => null,
    (error: Error) => error,
  );
  for (let waits = 0; waits < mostWaits; waits++) {
    const job = await client.call<Job>('GET', path);
    if (hasEnded(job)) return; // perhaps by itself, and then cancelling was refused
    if (refusal !== null) throw refusal;
    await sleep(1_000);
  }
  throw new Error(`job ${id} does not end after ${mostWaits} seconds`);
}
