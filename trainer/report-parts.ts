// What is reported, cut into bodies that the service takes.

import type { TrainingPlan } from '../api/contract/plans.ts';
import {
  type CaseLoss,
  type LedgerRange,
  type Metric,
  type ReportInput,
  reportLimits,
  type TrainerEnvironment,
} from '../api/contract/trainer.ts';

/** Everything that one or more reports say. */
export type Content = {
  metrics: Metric[];
  caseLosses: CaseLoss[];
  ledger: LedgerRange[];
  progress?: { step: number; steps: number };
  environment?: TrainerEnvironment;
  plan?: TrainingPlan;
};

const bytesPerReport = reportLimits.bytes * 0.9;

/** Bodies within the limits of a report; all but metrics and losses travels in the last. */
export function splitContent(content: Content, log: string): Omit<ReportInput, 'sequence'>[] {
  const bodies: Omit<ReportInput, 'sequence'>[] = [];
  const { metrics: points, caseLosses: means, ledger, ...latest } = content;
  const [metrics, caseLosses] = [[...points], [...means]];
  do {
    const room = { bytes: bytesPerReport - 4 * log.length - 300 * ledger.length };
    const body: Omit<ReportInput, 'sequence'> = {
      metrics: takeWithin(metrics, reportLimits.metrics, room),
    };
    const losses = takeWithin(caseLosses, reportLimits.caseLosses, room);
    if (losses.length > 0) body.caseLosses = losses;
    bodies.push(body);
  } while (metrics.length > 0 || caseLosses.length > 0);
  const last = Object.assign(bodies.at(-1)!, latest);
  if (ledger.length > 0) last.ledger = ledger;
  if (log !== '') last.log = log;
  return bodies;
}

function takeWithin<Item>(items: Item[], most: number, room: { bytes: number }): Item[] {
  let count = 0;
  while (count < items.length && count < most) {
    const bytes = Buffer.byteLength(JSON.stringify(items[count])) + 1;
    if (bytes > room.bytes) break;
    room.bytes -= bytes;
    count += 1;
  }
  return items.splice(0, count);
}
