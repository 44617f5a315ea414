// From a dataset version, a fold and rules to the numbers of a snapshot. Freezing and the what-if
// share this, so a what-if says exactly what a snapshot would.

import type { AttributeMap } from '../../contract/attributes.ts';
import type { RuleDocument } from '../../contract/rule-sets.ts';
import type { Fold } from '../../contract/shared.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import type { DatasetRow } from '../../store/datasets.ts';
import { listWithdrawnOfFold } from '../../store/withdrawals.ts';
import { type Resolved, type ResolveInput, resolveSnapshot } from '../../weights/resolve.ts';
import { attributesRead } from '../../weights/rules.ts';
import { requireVersion } from '../versions.ts';
import { type LoadedTable, loadCaseTable } from './case-table.ts';

/** A case that is left out because it was withdrawn, and why it was. */
export type Withdrawn = { id: string; reason: string };

/** The withdrawn cases on the training side of a fold, as they stand now. */
export async function withdrawnOfFold(
  deps: Deps,
  { dataset, ...key }: { dataset: DatasetRow; version: number; split: string; fold: Fold },
): Promise<Withdrawn[]> {
  return await listWithdrawnOfFold(deps.database.orm, { datasetId: dataset.id, ...key });
}

export type ResolvedFold = {
  table: LoadedTable;
  resolved: Resolved;
  /** Storage ordinal of each case of the snapshot, in digest order. */
  ordinals: Int32Array;
  /** As the rules read them; what a run makes counts as measured in its own children. */
  attributes: AttributeMap;
  datasetVersionDigest: string;
};

/** What makes a fold the one of a child: draws from draws, and the values of an attribute. */
export type ChildFold = {
  redraw?: ResolveInput['redraw'];
  evidence?: { attribute: string; ids: string[]; values: Float64Array };
};

/** Resolves a fold. Throws `unprocessable` naming fields and cases that do not hold. */
export async function resolveFold(
  deps: Deps,
  input: {
    dataset: DatasetRow;
    version: number;
    split: string;
    fold: Fold;
    rules: RuleDocument;
    withdrawn: Withdrawn[];
    child?: ChildFold;
  },
): Promise<ResolvedFold> {
  const { dataset, version, split, fold, rules, child = {} } = input;
  const key = { datasetId: dataset.id, number: version };
  const row = await requireVersion(deps, key, 'committed');
  const attributes = { ...(row.attributes ?? dataset.attributes) };
  const names = [...attributesRead(rules, attributes)].sort();
  const undeclared = names.find((name) => attributes[name] === undefined);
  if (undeclared !== undefined) {
    throw new ProblemError(
      'unprocessable',
      `Version ${version} was committed before attribute "${undeclared}" was declared; use a later version.`,
    );
  }
  const table = await loadCaseTable(deps.database.orm, {
    datasetId: dataset.id,
    version,
    split,
    fold,
    names,
  });
  if (child.evidence !== undefined) putEvidence(table, attributes, child.evidence);
  const result = resolveSnapshot({
    cases: table,
    attributes,
    rules,
    fold,
    redraw: child.redraw,
    withdrawn: new Map(input.withdrawn.map(({ id, reason }) => [id, reason])),
  });
  if (!result.ok) {
    throw new ProblemError(
      'unprocessable',
      `These rules cannot be used on this fold: ${result.faults[0].detail}`,
      { errors: result.faults },
    );
  }
  return {
    table,
    resolved: result,
    ordinals: ordinalsOf(result.ids, table),
    attributes,
    datasetVersionDigest: row.digest as string,
  };
}

// The run's own evidence stands in the place of whatever values were uploaded. It is of the very
// run whose child this is, so the leak guard lets it pass (METHOD.md section 8).
function putEvidence(
  table: LoadedTable,
  attributes: AttributeMap,
  { attribute, ids, values }: NonNullable<ChildFold['evidence']>,
): void {
  const places = new Map(ids.map((id, k) => [id, k]));
  table.columns[attribute] = table.ids.map((id) => values[places.get(id) ?? -1]);
  attributes[attribute] = { type: 'number', required: false };
}

// Both are in id order, and every case of the snapshot stands in the table: one walk finds all.
function ordinalsOf(ids: string[], table: LoadedTable): Int32Array {
  const ordinals = new Int32Array(ids.length);
  for (let k = 0, place = 0; k < ids.length; k++, place++) {
    while (table.ids[place] !== ids[k]) {
      if (++place === table.ids.length) throw new RangeError(`case ${ids[k]} is not in id order`);
    }
    ordinals[k] = table.ordinals[place];
  }
  return ordinals;
}
