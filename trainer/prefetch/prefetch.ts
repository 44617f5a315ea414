// Batches of an epoch's plan, strictly in its order. A worker makes the next ones while the network
// learns from this one; without a worker they are made between steps, with the same bytes.

import { Worker } from 'node:worker_threads';
import type { PatchSettings } from '../augment/augment.ts';
import type { Cases } from '../batches.ts';
import { TrainerError } from '../settings.ts';
import type { Batch } from '../step.ts';
import { assembleBatch, type DrawnBatch } from './assemble.ts';
import type { Answer, Asked, Given } from './protocol.ts';

/** An epoch's plan, and the draw to begin with. */
export type EpochPlan = { plan: string[]; from: number; epoch: number };

export type BatchSource = {
  /** The batches of a plan; all of them must be taken, or the source closed. */
  ofEpoch: (plan: EpochPlan) => { next: () => Promise<Batch> };
  /** Ends the worker, whatever it is doing. */
  close: () => Promise<void>;
};

/** How the memory for loaded cases is shared: all of it here, or most of it in the worker. */
export function cacheShares(prefetch: number): { cacheBytes: number; workerCacheBytes: number } {
  const quarter = 2 ** 28;
  if (prefetch === 0) return { cacheBytes: 4 * quarter, workerCacheBytes: 0 };
  return { cacheBytes: quarter, workerCacheBytes: 3 * quarter };
}

/** Who makes a batch. */
type Maker = { make: (drawn: DrawnBatch) => Promise<Batch>; close: () => Promise<void> };

/**
 * A source that keeps `prefetch` batches ahead of the one taken, or none for 0. An error of a batch
 * is thrown, as a TrainerError that names the case, when its turn comes.
 */
export function openBatches(given: {
  cases: Cases;
  settings: PatchSettings;
  seed: number;
  batchSize: number;
  prefetch: number;
  /** Of cases that the worker keeps loaded. */
  cacheBytes: number;
}): BatchSource {
  const { seed, batchSize, prefetch } = given;
  const maker = prefetch === 0 ? makeHere(given) : startWorker(given);
  return {
    ofEpoch: ({ plan, from, epoch }) => {
      const ahead: Promise<Batch>[] = [];
      let position = from;
      return {
        next: () => {
          while (ahead.length <= prefetch && position < plan.length) {
            const ids = plan.slice(position, position + batchSize);
            const batch = maker.make({ ids, seed, epoch, position });
            // An error waits for its turn; until then nobody may have asked for it.
            batch.catch(() => {});
            ahead.push(batch);
            position += ids.length;
          }
          const first = ahead.shift();
          if (first === undefined) throw new Error('the plan has no batch left');
          return first;
        },
      };
    },
    close: maker.close,
  };
}

type Making = { cases: Cases; settings: PatchSettings };

function makeHere({ cases, settings }: Making): Maker {
  const { load, channelCount } = cases;
  return {
    make: async (drawn) => {
      try {
        return await assembleBatch(drawn, { load, settings, channelCount });
      } catch (error) {
        throw new TrainerError((error as Error).message, undefined, error);
      }
    },
    close: async () => {},
  };
}

function startWorker({ cases, settings, cacheBytes }: Making & { cacheBytes: number }): Maker {
  const { channelCount, loading, filesOf } = cases;
  const { patch, augmentation, mirrorAxes, foregroundShare } = settings;
  const plain = { patch, augmentation, mirrorAxes, foregroundShare };
  const workerData: Given = { settings: plain, channelCount, loading, cacheBytes };
  const worker = new Worker(new URL('./start.mjs', import.meta.url), { workerData, execArgv: [] });
  const waiting = new Map<number, { resolve: (batch: Batch) => void; reject: Reject }>();
  let number = 0;
  let ended: TrainerError | null = null;

  worker.on('message', (answer: Answer) => {
    const asker = waiting.get(answer.number);
    // An answer that was under way when the source was closed.
    if (asker === undefined) return;
    waiting.delete(answer.number);
    if (answer.error === undefined) asker.resolve(answer.batch);
    else asker.reject(new TrainerError(answer.error));
  });
  const end = (why: string) => {
    ended ??= new TrainerError(`the worker that makes batches ended: ${why}`);
    for (const { reject } of waiting.values()) reject(ended);
    waiting.clear();
  };
  worker.on('error', (error) => end((error as Error).message));
  worker.on('exit', (code) => end(`exit code ${code}`));
  return {
    make: (drawn) => {
      if (ended) return Promise.reject(ended);
      return new Promise((resolve, reject) => {
        waiting.set(++number, { resolve, reject });
        const asked: Asked = { number, drawn, cases: [...new Set(drawn.ids)].map(filesOf) };
        worker.postMessage(asked);
      });
    },
    close: async () => {
      end('it was closed');
      await worker.terminate();
    },
  };
}

type Reject = (error: Error) => void;
