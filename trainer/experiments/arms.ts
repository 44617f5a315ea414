// What an experiment compares: ways to draw cases, each with the factor of every draw.

import type { AttributeMap } from '../../api/contract/attributes.ts';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import type { CaseTable } from '../../api/weights/case-table.ts';
import { philoxWords } from '../../api/weights/philox.ts';
import { planEpoch } from '../sampler.ts';
import { frozen } from './frozen.ts';
import type { PlaneCase } from './planes.ts';

export type Arm = {
  name: string;
  /** Case ids of an epoch's draws, in order. */
  plan: (epoch: { seed: number; epoch: number; drawsPerEpoch: number }) => string[];
  lossFactorOf: (id: string) => number;
  /** What a snapshot of this arm says about itself; null without one. */
  digest: string | null;
};

const declared = (value: string | number): AttributeMap[string] => ({
  type: typeof value === 'number' ? 'number' : 'string',
  required: true,
});

/** The attributes of cases as the columns that rules read, and their schema. */
export function tableOf(cases: PlaneCase[]): { cases: CaseTable; attributes: AttributeMap } {
  const names = Object.keys(cases[0].attributes);
  const column = (name: string) => cases.map(({ attributes }) => attributes[name]);
  return {
    cases: {
      ids: cases.map(({ id }) => id),
      columns: Object.fromEntries(names.map((name) => [name, column(name)])),
    },
    attributes: Object.fromEntries(
      names.map((name) => [name, declared(cases[0].attributes[name])]),
    ),
  };
}

/** Draws and factors of a snapshot that these rules freeze to. */
export function snapshotArm(name: string, cases: PlaneCase[], rules: RuleDocumentInput): Arm {
  const snapshot = frozen({ dataset: 'planes', ...tableOf(cases), rules });
  const { digest, lossFactorOf } = snapshot;
  return { name, digest, lossFactorOf, plan: (epoch) => planEpoch(snapshot, epoch) };
}

/**
 * Draws as scripts make them: every draw independent of all others, with probability proportional
 * to one over the frequency of the case's group; no bounds, no correction
 * (`rng.choice(n, size, p=1 / frequency / sum)` in numpy).
 */
export function naiveArm(name: string, cases: PlaneCase[], attribute: string): Arm {
  const groups = cases.map(({ attributes }) => String(attributes[attribute]));
  const counts = new Map<string, number>();
  for (const group of groups) counts.set(group, (counts.get(group) ?? 0) + 1);
  const edges: number[] = [];
  let sum = 0;
  for (const group of groups) {
    sum += 1 / counts.get(group)!;
    edges.push(sum);
  }
  const plan: Arm['plan'] = ({ seed, epoch, drawsPerEpoch }) => {
    const random = philoxWords([seed, 0x6e616976 + epoch]);
    return Array.from({ length: drawsPerEpoch }, () => {
      const point = (random.below52() / 2 ** 52) * sum;
      return cases[firstAbove(edges, point)].id;
    });
  };
  return { name, digest: null, plan, lossFactorOf: () => 1 };
}

// The first place whose edge lies above the point.
function firstAbove(edges: number[], point: number): number {
  let low = 0;
  let high = edges.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (edges[middle] > point) high = middle;
    else low = middle + 1;
  }
  return low;
}
