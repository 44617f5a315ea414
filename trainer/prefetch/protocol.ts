// What the trainer and its batch worker say to each other.

import type { PatchSettings } from '../augment/augment.ts';
import type { CaseFiles, LoadSettings } from '../data.ts';
import type { Batch } from '../step.ts';
import type { DrawnBatch } from './assemble.ts';

/** What a worker is started with. */
export type Given = {
  settings: PatchSettings;
  channelCount: number;
  loading: LoadSettings;
  cacheBytes: number;
};

/** A request: the batch's draws, and the files of their cases. */
export type Asked = { number: number; drawn: DrawnBatch; cases: CaseFiles[] };

/** The answer to the request of that number: the batch, or one sentence on what went wrong. */
export type Answer =
  | { number: number; batch: Batch; error?: undefined }
  | { number: number; batch?: undefined; error: string };
