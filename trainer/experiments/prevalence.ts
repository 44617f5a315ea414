// Experiment (b): some lesions look as if they could be either kind, and two in ten of them are the
// rare one. Whoever draws rare cases more often and does not correct teaches another share.

import type { Lesion, PlaneCase } from './planes.ts';
import { caseStream, drawPlane, spreadOver } from './planes.ts';
import { rarityArms } from './rare.ts';
import type { Experiment } from './trials.ts';

type Look = { rare: boolean; middle: number; hidden: string };

/**
 * One large lesion per case. Of `total` cases 8 % are clearly rare (a ring) and a sixteenth is
 * ambiguous (a shaded middle), of which one in five is rare; all others are clearly common. `total`
 * is a multiple of 400.
 */
export function ambiguousCases(seed: number, total: number): PlaneCase[] {
  const looks = looksOf(total);
  return looks.map(({ rare, middle, hidden }, number) => {
    const { uniform } = caseStream(seed, number);
    const radius = uniform(7, 10);
    const label = rare ? 2 : 1;
    const lesion: Lesion = { label, radius, rim: 1, middle, hollow: radius - uniform(2, 3) };
    const drawn = drawPlane([lesion], { uniform, noise: uniform(0.03, 0.1) });
    const id = `case-${String(number).padStart(4, '0')}`;
    return { id, ...drawn, attributes: { kind: rare ? 'rare' : 'common' }, hidden };
  });
}

function looksOf(total: number): Look[] {
  const ring = spreadOver(total, (total * 8) / 100);
  const others = Array.from({ length: total }, (_, k) => k).filter((k) => !ring.has(k));
  const shaded = [...spreadOver(others.length, total / 16)].map((k) => others[k]);
  const rareShaded = new Set([...spreadOver(shaded.length, total / 80)].map((k) => shaded[k]));
  const ambiguous = new Set(shaded);
  return Array.from({ length: total }, (_, k) => {
    if (ring.has(k)) return { rare: true, middle: 0.1, hidden: 'ring' };
    if (!ambiguous.has(k)) return { rare: false, middle: 1, hidden: 'solid' };
    return { rare: rareShaded.has(k), middle: 0.55, hidden: 'shaded' };
  });
}

/** METHOD.md section 11. */
export const prevalenceExperiment: Experiment = {
  name: 'prevalence',
  settings: {
    steps: 900,
    batchSize: 8,
    drawsPerEpoch: 400,
    learningRate: 4e-3,
    averaging: 0.98,
    features: [8, 16],
  },
  training: (seed) => ambiguousCases(seed, 1600),
  validation: (seed) => ambiguousCases(seed + 1_000_000, 800),
  arms: (cases) => rarityArms(cases, 'rare'),
};
