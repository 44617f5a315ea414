// A gate from the command line: `--gate dice.mean=0.8` lets a pipeline stop at a weak network.

import { InvalidArgumentError } from 'commander';
import type { MetricGate } from '../../api/contract/gates.ts';

/** One more gate from the command line, as FIGURE=LEAST. */
export function gateOf(text: string, before: MetricGate[]): MetricGate[] {
  const [, figure, least] = /^(.+)=([^=]+)$/.exec(text) ?? [];
  if (figure === undefined || least.trim() === '' || !Number.isFinite(Number(least))) {
    throw new InvalidArgumentError('a gate is a figure and the least it may be: dice.mean=0.8');
  }
  return [...before, { figure, least: Number(least) }];
}
