// Experiment (d): the rings of experiment (a), but no attribute says which cases have one. Static
// rules have nothing to go by; adaptive children follow the losses that the run itself reports.

import type { AttributeMap } from '../../api/contract/attributes.ts';
import type { RuleDocumentInput } from '../../api/contract/rule-sets.ts';
import type { CaseEvidence } from '../../api/contract/trainer.ts';
import { evidenceColumn, evidenceDigest, foldedEvidence } from '../../api/weights/case-evidence.ts';
import { adaptiveChild } from '../../api/weights/children.ts';
import { snapshotDigest } from '../../api/weights/digest.ts';
import { planEpoch } from '../sampler.ts';
import { type Arm, snapshotArm } from './arms.ts';
import { type Frozen, frozen } from './frozen.ts';
import type { PlaneCase } from './planes.ts';
import { ringCases } from './rare.ts';
import type { EpochEnd } from './trial.ts';
import type { Experiment } from './trials.ts';

const bounds = { floor: 0.2, cap: 20 };
const adaptive = { momentum: 0.5, minEvidence: 1, maxShift: 0.2 };

/** The clip lies above all cases: at percentile 95 it would cut off the very 3 % that are hard. */
const byLoss = {
  name: 'hard so far',
  kind: 'difficulty' as const,
  attribute: 'caseLoss',
  measure: 'loss' as const,
  power: 4,
  clipPercentile: 100,
};

const attributes: AttributeMap = { caseLoss: { type: 'number', required: false } };

/** Cases of (a) of which rules see only a site, which has nothing to do with rings. */
function siteCases(seed: number, total: number, rareCount: number): PlaneCase[] {
  const cases = ringCases(seed, total, rareCount);
  return cases.map((one, k) => ({ ...one, attributes: { site: k % 5 === 0 ? 'B' : 'A' } }));
}

/**
 * Draws that follow the run's own losses: after every epoch a child within `maxShift` of its parent
 * (METHOD.md section 8), from the functions that the service uses.
 */
export function adaptiveArm(
  name: string,
  cases: PlaneCase[],
  strength: number,
): Arm & { epochEnd: EpochEnd } {
  const ids = cases.map(({ id }) => id).sort();
  const rules: RuleDocumentInput = {
    sampling: { terms: [byLoss], ...bounds },
    correction: { strength },
  };
  const resolvedWith = (caseLoss: (number | undefined)[]): Frozen =>
    frozen({ dataset: 'planes', cases: { ids, columns: { caseLoss } }, attributes, rules });
  let current = resolvedWith(ids.map(() => undefined));
  let evidence: CaseEvidence | null = null;
  const epochEnd: EpochEnd = (_, losses) => {
    const means = [...losses].map(
      ([id, { sum, draws }]) => [id, { loss: sum / draws, seen: draws }] as const,
    );
    const { momentum, minEvidence, maxShift } = adaptive;
    evidence = foldedEvidence(evidence, { ids, reported: new Map(means), momentum });
    const values = evidenceColumn(evidence, minEvidence);
    if (values === null) return;
    const next = resolvedWith([...values]);
    const { targetUnits, drawUnits: resolvedUnits } = next.resolved;
    const parentUnits = current.drawUnits;
    const limits = { maxShift, strength };
    const child = adaptiveChild({ targetUnits, parentUnits, resolvedUnits, ...limits });
    const evidenceOf = evidenceDigest(ids, evidence);
    current = childOf(next, { parent: current, child, evidenceDigest: evidenceOf });
  };
  return {
    name,
    digest: current.digest,
    plan: (epoch) => planEpoch(current, epoch),
    lossFactorOf: (id) => current.lossFactorOf(id),
    epochEnd,
  };
}

function childOf(
  next: Frozen,
  given: {
    parent: Frozen;
    child: ReturnType<typeof adaptiveChild>;
    evidenceDigest: string;
  },
): Frozen {
  const { ids } = next;
  const { targetUnits, drawUnits, lossFactors } = given.child;
  const header: Frozen['header'] = {
    ...next.header,
    parentDigest: given.parent.digest,
    evidenceDigest: given.evidenceDigest,
    cause: 'adaptive',
  };
  const digest = snapshotDigest({ header, ids, targetUnits, drawUnits, lossFactors });
  const resolved = { ...next.resolved, drawUnits, lossFactors };
  const placeOf = new Map(ids.map((id, place) => [id, place]));
  const lossFactorOf = (id: string) => lossFactors[placeOf.get(id)!];
  return { digest, ids, drawUnits, lossFactorOf, header, resolved };
}

const bySite = {
  name: 'rare sites',
  kind: 'rarity' as const,
  by: ['site'],
  method: 'inverse-frequency' as const,
  power: 1,
};

/** METHOD.md section 8; the rings are TRAINER.md's section 3. */
export const adaptiveExperiment: Experiment = {
  name: 'adaptive',
  settings: {
    steps: 450,
    batchSize: 8,
    drawsPerEpoch: 200,
    learningRate: 4e-3,
    averaging: 0,
    features: [8, 16],
  },
  training: (seed) => siteCases(seed, 400, 12),
  validation: (seed) => siteCases(seed + 1_000_000, 800, 24),
  arms: (cases) => [
    snapshotArm('uniform', cases, {}),
    snapshotArm('static', cases, {
      sampling: { terms: [bySite], ...bounds },
      correction: { strength: 0 },
    }),
    adaptiveArm('adaptive', cases, 0),
    adaptiveArm('adaptive corrected', cases, 1),
  ],
};
