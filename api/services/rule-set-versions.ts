// The versions of a rule set: what changed from one to the next, and copies from other datasets.

import type { CopiedRuleSet, CopyRuleSet, RuleSetVersion } from '../contract/rule-sets.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { listRuleSetVersions, type RuleSetRow } from '../store/rule-sets.ts';
import { attributeDifferences } from '../weights/attribute-differences.ts';
import { requireDataset } from './datasets.ts';
import { requireRuleSet, requireSoundRules, storeRuleSet } from './rule-sets.ts';
import { rulesDiff } from './snapshots/rules-diff.ts';

/** Versions of a rule set, newest first, each with its diff to the one before it. */
export async function pageOfRuleSetVersions(
  deps: Deps,
  actor: Actor,
  input: { dataset: string; name: string; before?: number; limit: number },
): Promise<RuleSetVersion[]> {
  const { id: datasetId } = await requireDataset(deps, actor, input.dataset);
  const { name } = await requireRuleSet(deps, { datasetId, key: input.name });
  const key = { datasetId, name, before: input.before, limit: input.limit + 1 };
  const found = await listRuleSetVersions(deps.database.orm, key);
  return found.slice(0, input.limit).map((row, k) => versionView(row, found[k + 1]));
}

const named = ({ name, version, rules }: RuleSetRow) => ({ name: `${name}@${version}`, rules });

function versionView(row: RuleSetRow, before: RuleSetRow | undefined): RuleSetVersion {
  const { id, name, version, digest, reason, createdBy } = row;
  const change = before === undefined ? null : rulesDiff(named(before), named(row));
  const createdAt = row.createdAt.toISOString();
  return { id, name, version, digest, reason, createdAt, createdBy, change };
}

/**
 * Stores rules of any dataset of the workspace as the next version of a name in this one. Throws
 * `unprocessable` with every attribute that is missing here or is of another type, unit or kind of
 * origin (METHOD.md section 3).
 */
export async function copyRuleSet(
  deps: Deps,
  actor: Actor,
  input: CopyRuleSet & { dataset: string },
): Promise<CopiedRuleSet> {
  const dataset = await requireDataset(deps, actor, input.dataset);
  const source = await requireDataset(deps, actor, input.from.dataset);
  const key = { datasetId: source.id, key: input.from.ruleSet };
  const { name, version, digest, rules } = await requireRuleSet(deps, key);
  const attributes = { from: source.attributes, to: dataset.attributes };
  const errors = attributeDifferences(rules, attributes);
  if (errors.length > 0) {
    throw new ProblemError(
      'unprocessable',
      `${source.name}/${name}@${version} was not copied: ${errors.length} of its attributes are not the same in "${dataset.name}". ${errors[0].detail}.`,
      { errors },
    );
  }
  requireSoundRules(rules, dataset.attributes, '');
  const copiedFrom = { dataset: source.name, name, version, digest };
  const stored = await storeRuleSet(deps, actor, {
    dataset,
    name: input.name ?? name,
    rules,
    reason: input.reason,
    action: 'rule-set.copied',
    detail: { copiedFrom },
  });
  return { ...stored, copiedFrom };
}
