// The plan of a job: made once, kept beside its checkpoints as plan.json, and taken up by later
// attempts, so that all of them train the same network on the same grid.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { type TrainingPlan, trainingPlanSchema } from '../../api/contract/plans.ts';
import { writeAtomically } from '../checkpoint.ts';
import type { CaseFiles } from '../data.ts';
import { exitCodes, type ResolvedSettings, TrainerError } from '../settings.ts';
import { readFingerprint } from './fingerprint.ts';
import { normalizationKinds } from './normalization.ts';
import { planTraining } from './plan.ts';

const recordSchema = z.strictObject({ job: z.string(), plan: trainingPlanSchema });

/** The stored plan of that very job, or null; `explain` is told of a file that cannot be used. */
export function readPlan(
  outPath: string,
  job: string,
  explain: (line: string) => void,
): TrainingPlan | null {
  const path = join(outPath, 'plan.json');
  if (!existsSync(path)) return null;
  try {
    const record = recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    if (record.job === job) return record.plan;
    explain(`plan.json is of job ${record.job}: not used`);
  } catch (error) {
    explain(`plan.json cannot be read (${(error as Error).message}): not used`);
  }
  return null;
}

/** Keeps a plan for later attempts of its job. */
export async function writePlan(outPath: string, job: string, plan: TrainingPlan): Promise<void> {
  const text = JSON.stringify({ job, plan }, null, 2);
  await writeAtomically(join(outPath, 'plan.json'), `${text}\n`);
}

/**
 * Plans from the files of the training cases; `channels` and `labels` are the data set's. Throws a
 * TrainerError for settings that do not fit them, and an Error naming a file that cannot be read.
 */
export async function planFromFiles(given: {
  training: CaseFiles[];
  settings: ResolvedSettings;
  channels: string[];
  labels: Record<string, number | number[]>;
  classes: number;
  tell?: () => Promise<void>;
}): Promise<TrainingPlan> {
  const { training, settings, channels, labels, classes, tell } = given;
  const kinds = settings.normalization ?? normalizationKinds(channels);
  if (kinds.length !== channels.length) {
    throw new TrainerError(
      `settings.normalization has ${kinds.length} entries, but the data set has ` +
        `${channels.length} channels: ${channels.join(', ')}`,
      exitCodes.configuration,
    );
  }
  const named = Object.entries(labels).filter(([name]) => name !== 'ignore');
  const foreground = new Set(named.flatMap(([, values]) => values).filter((value) => value > 0));
  const fingerprint = await readFingerprint({ cases: training, kinds, foreground, tell });
  return planTraining({ fingerprint, settings, classes });
}
