// From a dataset version, a fold and rules to the numbers of a snapshot. Freezing and the what-if
// share this, so a what-if says exactly what a snapshot would.

import type { RuleDocument } from '../../contract/rule-sets.ts';
import type { Fold } from '../../contract/shared.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import type { DatasetRow } from '../../store/datasets.ts';
import { type Resolved, resolveSnapshot } from '../../weights/resolve.ts';
import { attributesRead } from '../../weights/rules.ts';
import { requireVersion } from '../versions.ts';
import { type LoadedTable, loadCaseTable } from './case-table.ts';

export type ResolvedFold = {
  table: LoadedTable;
  resolved: Resolved;
  /** Storage ordinal of each case of the snapshot, in digest order. */
  ordinals: Int32Array;
  datasetVersionDigest: string;
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
  },
): Promise<ResolvedFold> {
  const { dataset, version, split, fold, rules } = input;
  const key = { datasetId: dataset.id, number: version };
  const row = await requireVersion(deps, key, 'committed');
  const attributes = row.attributes ?? dataset.attributes;
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
  const result = resolveSnapshot({ cases: table, attributes, rules, fold });
  if (!result.ok) {
    throw new ProblemError(
      'unprocessable',
      `These rules cannot be used on this fold: ${result.faults[0].detail}`,
      { errors: result.faults },
    );
  }
  const ordinalOf = new Map(table.ids.map((id, k) => [id, table.ordinals[k]]));
  const ordinals = Int32Array.from(result.ids, (id) => ordinalOf.get(id) as number);
  return { table, resolved: result, ordinals, datasetVersionDigest: row.digest as string };
}
