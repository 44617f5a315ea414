// The thread that makes batches: it loads cases into a cache of its own, cuts and augments, one
// request after the other, and hands the arrays over without copying them.

import { parentPort, workerData } from 'node:worker_threads';
import { type CaseFiles, caseCache, loadCase } from '../data.ts';
import { assembleBatch } from './assemble.ts';
import type { Answer, Asked, Given } from './protocol.ts';

const { settings, channelCount, loading, cacheBytes } = workerData as Given;
const port = parentPort!;

// Files of the cases that the current request draws; the cache asks for the ones that it lacks.
let files = new Map<string, CaseFiles>();
const load = caseCache((id) => loadCase({ ...files.get(id)!, ...loading }), cacheBytes);

async function answer({ number, drawn, cases }: Asked): Promise<void> {
  files = new Map(cases.map((paths) => [paths.id, paths]));
  try {
    const batch = await assembleBatch(drawn, { load, settings, channelCount });
    const made: Answer = { number, batch };
    port.postMessage(made, [batch.images.buffer, batch.labels.buffer] as ArrayBuffer[]);
  } catch (error) {
    const failed: Answer = { number, error: (error as Error).message };
    port.postMessage(failed);
  }
}

let last = Promise.resolve();
port.on('message', (asked: Asked) => {
  last = last.then(() => answer(asked));
});
