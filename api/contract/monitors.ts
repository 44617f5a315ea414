// What is said of a job's monitors (METHOD.md section 9). What may be asked of them: settings.ts.

import { z } from 'zod';
import { monitorSchema, type monitorsSchema } from './settings.ts';

/**
 * How a monitor stands. `fired` once it has: `value` `epoch` `step` `subject` `sentence` are then
 * of its latest finding, before that `value` is the newest one. `active`: the condition holds now.
 * `findings`: how often it fired. `value` is null where there is none, or where it is no number: a
 * loss that was not finite.
 */
const monitorStateSchema = z.object({
  state: z.enum(['quiet', 'fired']),
  active: z.boolean(),
  findings: z.int(),
  value: z.number().nullable(),
  subject: z.string().nullable(),
  epoch: z.int().nullable(),
  step: z.int().nullable(),
  sentence: z.string().nullable(),
});

/** By the monitor's name, as it is kept with the job. */
export type MonitorState = z.output<typeof monitorStateSchema>;
export type MonitorStates = { [Name in keyof typeof monitorsSchema.shape]?: MonitorState };

/**
 * A monitor's wish that the job draws by its snapshot's parent again, kept with the job until the
 * answer to an epoch's last report takes it up.
 */
export type RevertRequest = { monitor: string; sentence: string; at: string };

/** A monitor that a job asked for, its limits with defaults filled in, and how it stands. */
export const monitorViewSchema = monitorStateSchema
  .extend({ ...monitorSchema.required().shape })
  .meta({ id: 'MonitorView' });
export type MonitorView = z.output<typeof monitorViewSchema>;

export const monitorViewsSchema = z.object({
  sampledCaseOverfit: monitorViewSchema.optional(),
  groupRegression: monitorViewSchema.optional(),
  calibrationDrift: monitorViewSchema.optional(),
  instability: monitorViewSchema.optional(),
  drawMismatch: monitorViewSchema.optional(),
});
export type MonitorViews = z.output<typeof monitorViewsSchema>;
