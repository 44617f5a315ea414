// Rules frozen into a snapshot without a service, through the functions that the service uses:
// exact units, factors, digest, and so the same draws.

import { createHash } from 'node:crypto';
import canonicalize from 'canonicalize';
import type { AttributeMap } from '../../api/contract/attributes.ts';
import { type RuleDocumentInput, ruleDocumentSchema } from '../../api/contract/rule-sets.ts';
import type { SnapshotHeader } from '../../api/contract/snapshots.ts';
import type { CaseTable } from '../../api/weights/case-table.ts';
import { snapshotDigest } from '../../api/weights/digest.ts';
import { type Resolved, resolveSnapshot } from '../../api/weights/resolve.ts';
import type { Snapshot } from '../sampler.ts';

export type Frozen = Snapshot & { header: SnapshotHeader; resolved: Resolved };

const digestOf = (value: unknown) =>
  `sha256:${createHash('sha256')
    .update(canonicalize(value) as string)
    .digest('hex')}`;

/**
 * The snapshot of these cases under these rules (METHOD.md sections 3 to 5); fold "all", or the
 * fold given. Throws an Error that names the first fault of rules or cases.
 */
export function frozen(given: {
  dataset: string;
  cases: CaseTable;
  attributes: AttributeMap;
  rules: RuleDocumentInput;
  fold?: number;
}): Frozen {
  const { dataset, cases, attributes, fold } = given;
  const rules = ruleDocumentSchema.parse(given.rules);
  const resolved = resolveSnapshot({ cases, attributes, rules });
  if (!resolved.ok) throw new Error(`the rules do not hold: ${resolved.faults[0].detail}`);
  const { floor, cap, temper } = rules.sampling;
  const header: SnapshotHeader = {
    format: 1,
    dataset,
    datasetVersionDigest: digestOf(cases),
    split: 'experiment',
    fold: fold ?? 'all',
    ruleSetDigest: digestOf(rules),
    floor,
    cap,
    temper,
    strength: rules.correction.strength,
    caseCount: resolved.ids.length,
    parentDigest: null,
    evidenceDigest: null,
    cause: 'rules',
  };
  const { ids, drawUnits, lossFactors } = resolved;
  const placeOf = new Map(ids.map((id, place) => [id, place]));
  const lossFactorOf = (id: string) => lossFactors[placeOf.get(id)!];
  const digest = snapshotDigest({ header, ...resolved });
  return { digest, ids, drawUnits, lossFactorOf, header, resolved };
}
