// Experiment (a): three in a hundred images have a ring among their solid lesions. Which draws make
// a network find rings in a few hundred steps?

import type { Arm } from './arms.ts';
import { naiveArm, snapshotArm } from './arms.ts';
import { caseStream, drawPlane, type Lesion, type PlaneCase, spreadOver } from './planes.ts';
import type { Experiment } from './trials.ts';

/** Cases of which `rareCount` have a ring (class 2) beside their solid lesion (class 1). */
export function ringCases(seed: number, total: number, rareCount: number): PlaneCase[] {
  const rare = spreadOver(total, rareCount);
  return Array.from({ length: total }, (_, number) => {
    const { uniform, below } = caseStream(seed, number);
    const solid = (label: number): Lesion => {
      const radius = uniform(3.5, 6);
      return { label, radius, rim: 1, middle: 1, hollow: 0 };
    };
    const first = solid(1);
    const second = rare.has(number)
      ? { ...solid(2), middle: 0.55, hollow: uniform(1.6, 2.2) }
      : solid(1);
    const both = below(2) === 0 ? [first, second] : [second, first];
    const kind = rare.has(number) ? 'ring' : 'solid';
    const id = `case-${String(number).padStart(4, '0')}`;
    const drawn = drawPlane(both, { uniform, noise: uniform(0.03, 0.1) });
    return { id, ...drawn, attributes: { kind }, hidden: kind };
  });
}

const byRarity = {
  name: 'rare kinds',
  kind: 'rarity' as const,
  by: ['kind'],
  method: 'inverse-frequency' as const,
  power: 1,
};
const bounds = { floor: 0.2, cap: 20 };

/** The arms that both (a) and (b) compare. */
export function rarityArms(cases: PlaneCase[], rareKind: string): Arm[] {
  const sampling = { terms: [byRarity], ...bounds };
  const counts = { name: 'rare kinds count', kind: 'match' as const, factor: 10 };
  const target = { terms: [{ ...counts, when: `case.kind == '${rareKind}'` }] };
  return [
    snapshotArm('uniform', cases, {}),
    naiveArm('naive', cases, 'kind'),
    snapshotArm('capped', cases, { sampling, correction: { strength: 0 } }),
    snapshotArm('half corrected', cases, { sampling, correction: { strength: 0.5 } }),
    snapshotArm('corrected', cases, { sampling, correction: { strength: 1 } }),
    snapshotArm('moved target', cases, { target, sampling: bounds }),
  ];
}

/** METHOD.md section 11, TRAINER.md section 3. */
export const rareExperiment: Experiment = {
  name: 'rare',
  settings: {
    steps: 450,
    batchSize: 8,
    drawsPerEpoch: 400,
    learningRate: 4e-3,
    averaging: 0,
    features: [8, 16],
  },
  training: (seed) => ringCases(seed, 400, 12),
  validation: (seed) => ringCases(seed + 1_000_000, 800, 24),
  arms: (cases) => rarityArms(cases, 'ring'),
};
