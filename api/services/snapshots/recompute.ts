// The fold of a snapshot resolved again, as it was when it was frozen. A child is made from its
// parent and from what is kept of its origin; freezing one and checking one both come through here.

import type { RuleDocument } from '../../contract/rule-sets.ts';
import type { SnapshotHeader } from '../../contract/snapshots.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findOrigin, type Origin } from '../../store/children.ts';
import { type DatasetRow, findDataset } from '../../store/datasets.ts';
import { findRuleSetById, type RuleSetRow } from '../../store/rule-sets.ts';
import { findSnapshotById, type SnapshotRow } from '../../store/snapshots.ts';
import { evidenceColumn, evidenceDigest } from '../../weights/case-evidence.ts';
import { adaptiveChild, rampChild, revertChild } from '../../weights/children.ts';
import { drawTable } from './read.ts';
import { type ResolvedFold, resolveFold } from './resolve.ts';

export type Recomputed = {
  fold: ResolvedFold;
  rules: RuleDocument;
  /** How a child came from the terms to its draws; null for a snapshot that is none. */
  mix: string | null;
  /** Digest of the evidence that it was made with now; null for one that is not adaptive. */
  evidence: string | null;
};

/** The fold of a stored snapshot. Throws `internal` where what it was made from is not stored. */
export async function recompute(deps: Deps, row: SnapshotRow): Promise<Recomputed> {
  const sources = await sourcesOf(deps, row);
  const { rules } = sources.ruleSet;
  const { header, parentId } = row;
  if (header.cause === 'rules') {
    const fold = await resolveFold(deps, foldOf(row, sources));
    return { fold, rules, mix: null, evidence: null };
  }
  const orm = deps.database.orm;
  const parent = parentId === null ? undefined : await findSnapshotById(orm, parentId);
  const origin = await findOrigin(orm, row.id);
  if (parent === undefined || origin === undefined) {
    throw new ProblemError('internal', `What snapshot ${row.digest} was made from is not stored.`);
  }
  return await resolveChild(deps, { parent, origin, cause: header.cause });
}

export type ChildCause = Exclude<SnapshotHeader['cause'], 'rules'>;

/**
 * The fold of a child (METHOD.md section 8). Throws `unprocessable` where the rules do not hold
 * with the evidence, `internal` where the origin is not one of its cause.
 */
export async function resolveChild(
  deps: Deps,
  given: { parent: SnapshotRow; origin: Origin; cause: ChildCause },
): Promise<Recomputed> {
  const { parent, origin, cause } = given;
  const sources = await sourcesOf(deps, parent);
  const { rules } = sources.ruleSet;
  if (cause === 'ramp' && origin.share !== null) {
    const { share } = origin;
    const fold = await rampFold(deps, { parent, share, sources });
    return { fold, rules, mix: rampMix(share), evidence: null };
  }
  if (cause === 'adaptive' && origin.evidence !== null && rules.adaptive !== null) {
    return { rules, ...(await adaptiveFold(deps, { parent, origin, sources })) };
  }
  const source = await findSnapshotById(deps.database.orm, origin.sourceId ?? '');
  if (cause === 'revert' && source !== undefined) {
    const before = await recompute(deps, source);
    const fold = revertFold(before);
    return { fold, rules, mix: revertMix(source, before), evidence: null };
  }
  throw new ProblemError('internal', `A child of ${parent.digest} lost what it was made from.`);
}

type Sources = { dataset: DatasetRow; ruleSet: RuleSetRow };

async function sourcesOf(deps: Deps, row: SnapshotRow): Promise<Sources> {
  const orm = deps.database.orm;
  const { workspaceId, datasetId } = row;
  const dataset = await findDataset(orm, { workspaceId, key: datasetId });
  const ruleSet = await findRuleSetById(orm, { datasetId, id: row.ruleSetId });
  if (dataset !== undefined && ruleSet !== undefined) return { dataset, ruleSet };
  throw new ProblemError('internal', 'The rule set of this snapshot is not stored any more.');
}

function foldOf({ version, split, withdrawn, header }: SnapshotRow, sources: Sources) {
  const { dataset, ruleSet } = sources;
  return { dataset, version, split, fold: header.fold, rules: ruleSet.rules, withdrawn };
}

async function rampFold(
  deps: Deps,
  { parent, share, sources }: { parent: SnapshotRow; share: number; sources: Sources },
): Promise<ResolvedFold> {
  const { strength } = sources.ruleSet.rules.correction;
  const redraw: Redraw = ({ targetUnits, drawUnits }) =>
    rampChild({ targetUnits, finalUnits: drawUnits, share, strength }).drawUnits;
  return await resolveFold(deps, { ...foldOf(parent, sources), child: { redraw } });
}

type Redraw = (units: { targetUnits: Float64Array; drawUnits: Float64Array }) => Float64Array;

async function adaptiveFold(
  deps: Deps,
  { parent, origin, sources }: { parent: SnapshotRow; origin: Origin; sources: Sources },
): Promise<Pick<Recomputed, 'fold' | 'mix' | 'evidence'>> {
  const { adaptive, correction } = sources.ruleSet.rules;
  const { attribute, minEvidence, maxShift } = adaptive as NonNullable<RuleDocument['adaptive']>;
  const { drawUnits: parentUnits, ids } = await drawTable(deps, parent.id);
  const evidence = origin.evidence as NonNullable<Origin['evidence']>;
  const values = evidenceColumn(evidence, minEvidence) ?? new Float64Array(ids.length);
  let share = 1;
  const redraw: Redraw = ({ targetUnits, drawUnits: resolvedUnits }) => {
    const units = { targetUnits, parentUnits, resolvedUnits };
    const child = adaptiveChild({ ...units, maxShift, ...correction });
    share = child.share;
    return child.drawUnits;
  };
  const child = { redraw, evidence: { attribute, ids, values } };
  const fold = await resolveFold(deps, { ...foldOf(parent, sources), child });
  const reached =
    share === 1
      ? 'It draws by what the terms give'
      : `Its draws go ${(100 * share).toPrecision(3)} % of the way from those of its parent ${parent.digest} to what the terms give, where the total variation reaches ${maxShift}`;
  return {
    fold,
    evidence: evidenceDigest(ids, evidence),
    mix: `"${attribute}" is what the run itself reported of each case. ${reached}.`,
  };
}

const rampMix = (share: number) =>
  `A stage of a ramp: ${(1 - share).toPrecision(3)} of its draws go by the target and ${share.toPrecision(3)} by what the terms give.`;

function revertFold({ fold, rules }: Recomputed): ResolvedFold {
  const { targetUnits, drawUnits } = fold.resolved;
  const { strength } = rules.correction;
  const numbers = revertChild({ targetUnits, sourceUnits: drawUnits, strength });
  return { ...fold, resolved: { ...fold.resolved, ...numbers } };
}

const revertMix = ({ digest }: SnapshotRow, { mix }: Recomputed) =>
  `It draws as ${digest} did, whose terms these are.${mix === null ? '' : ` ${mix}`}`;

/** The evidence digest of a child's header: null unless it is adaptive. */
export function evidenceDigestOf(ids: string[], { evidence }: Origin): string | null {
  return evidence === null ? null : evidenceDigest(ids, evidence);
}
