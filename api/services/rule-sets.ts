// Rule sets: check, store as the next version of a name, read, list.

import canonicalize from 'canonicalize';
import type { AttributeMap } from '../contract/attributes.ts';
import type { RuleDocument, RuleSet } from '../contract/rule-sets.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { newId, sha256Text } from '../ids.ts';
import type { DatasetRow } from '../store/datasets.ts';
import { findRuleSet, insertRuleSet, listRuleSets, type RuleSetRow } from '../store/rule-sets.ts';
import { plannedChanges } from '../weights/planned-changes.ts';
import { checkRules } from '../weights/rules.ts';
import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';

function view(row: RuleSetRow): RuleSet {
  return {
    id: row.id,
    name: row.name,
    version: row.version,
    digest: row.digest,
    rules: row.rules,
    reason: row.reason,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
  };
}

/** Throws `unprocessable` with a pointer and a character range for every fault of the rules. */
export function requireSoundRules(
  rules: RuleDocument,
  attributes: AttributeMap,
  under: string,
): void {
  const faults = checkRules(rules, attributes);
  if (faults.length === 0) return;
  const errors = faults.map((fault) => ({ ...fault, pointer: `${under}${fault.pointer}` }));
  throw new ProblemError(
    'unprocessable',
    `The rules are not valid at ${errors[0].pointer}: ${errors[0].detail}`,
    { errors },
  );
}

/** Answers what will become of the draws during a run; throws `unprocessable` for what is wrong. */
export async function checkRuleSet(
  deps: Deps,
  actor: Actor,
  { dataset, rules }: { dataset: string; rules: RuleDocument },
): Promise<{ ok: true; changes: string[] }> {
  const { attributes } = await requireDataset(deps, actor, dataset);
  requireSoundRules(rules, attributes, '/rules');
  return { ok: true, changes: plannedChanges(rules, attributes) };
}

/** Stores the next version of a rule set. Its digest covers the canonical JSON of the rules. */
export async function addRuleSet(
  deps: Deps,
  actor: Actor,
  input: { dataset: string; name: string; rules: RuleDocument; reason: string },
): Promise<RuleSet> {
  const dataset = await requireDataset(deps, actor, input.dataset);
  requireSoundRules(input.rules, dataset.attributes, '/rules');
  return await storeRuleSet(deps, actor, { ...input, dataset, action: 'rule-set.added' });
}

/** Stores rules that are known to be sound as the next version of a name of the dataset. */
export async function storeRuleSet(
  deps: Deps,
  actor: Actor,
  input: {
    dataset: DatasetRow;
    name: string;
    rules: RuleDocument;
    reason: string;
    action: string;
    /** What the audit entry says beside name, version and digest. */
    detail?: Record<string, unknown>;
  },
): Promise<RuleSet> {
  const { dataset, name, rules, reason } = input;
  const digest = await sha256Text(canonicalize(rules) as string);
  const id = newId(deps);
  const row = {
    id,
    workspaceId: actor.workspaceId,
    datasetId: dataset.id,
    name,
    rules,
    digest,
    reason,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
  const stored = await insertRuleSet(deps.database.orm, row, (version) =>
    entryOf(deps, actor, {
      action: input.action,
      subject: `rule-set/${id}`,
      reason,
      detail: { dataset: dataset.name, name, version, digest, ...input.detail },
    }),
  );
  if (stored === null) {
    throw new ProblemError('conflict', 'Another version was added at the same moment; try again.');
  }
  return view(stored);
}

export async function requireRuleSet(
  deps: Deps,
  { datasetId, key }: { datasetId: string; key: string },
): Promise<RuleSetRow> {
  const row = await findRuleSet(deps.database.orm, { datasetId, key });
  if (row === undefined) {
    throw new ProblemError(
      'not-found',
      `The dataset has no rule set "${key}". Name one as name@version; GET rule-sets lists them.`,
    );
  }
  return row;
}

export async function getRuleSet(
  deps: Deps,
  actor: Actor,
  { dataset, ruleSet }: { dataset: string; ruleSet: string },
): Promise<RuleSet> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  return view(await requireRuleSet(deps, { datasetId, key: ruleSet }));
}

export async function pageOfRuleSets(
  deps: Deps,
  actor: Actor,
  { dataset, after, limit }: { dataset: string; after?: string; limit: number },
): Promise<RuleSet[]> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  const found = await listRuleSets(deps.database.orm, { datasetId, after, limit });
  return found.map(view);
}
