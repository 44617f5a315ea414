// The cases of one side of a fold as columns: only the attributes that the rules read leave the
// database, and no object is kept per case, so a million cases fit.

import { ProblemError } from '../../errors.ts';
import { listCaseColumnPages } from '../../store/cases.ts';
import type { Orm } from '../../store/database.ts';
import { findSide, membersOf } from '../../store/splits.ts';
import type { CaseTable } from '../../weights/case-table.ts';

export type LoadedTable = CaseTable & { ordinals: number[] };

export type TableKey = {
  datasetId: string;
  version: number;
  split: string;
  fold: number | 'all';
  names: string[];
};

/** Loads the training side of a fold in id order with the named attributes. */
export async function loadCaseTable(orm: Orm, key: TableKey): Promise<LoadedTable> {
  const table = await loadSideTable(orm, { ...key, side: 'train' });
  if (table.ids.length > 0) return table;
  throw new ProblemError(
    'unprocessable',
    `Fold ${key.fold} of split "${key.split}" has no training cases; nothing can be drawn from it.`,
  );
}

/** Loads one side of a fold in id order; it may be empty. */
export async function loadSideTable(
  orm: Orm,
  key: TableKey & { side: 'train' | 'val' },
): Promise<LoadedTable> {
  const isMember = membersOf(await findSide(orm, key));
  const columns: Record<string, unknown[]> = {};
  for (const name of key.names) columns[name] = [];
  const once = key.names.map(newKeeper);
  const table: LoadedTable = { ids: [], ordinals: [], columns };
  for await (const page of listCaseColumnPages(orm, key)) {
    for (const { ordinal, caseId, values } of page) {
      if (!isMember(ordinal)) continue;
      table.ids.push(caseId);
      table.ordinals.push(ordinal);
      for (const [k, name] of key.names.entries()) columns[name].push(once[k](values[k]));
    }
  }
  return table;
}

const mostKept = 1_000;

// Strings and label sets repeat: one object for all cases that share a value, not one for each.
function newKeeper(): (value: unknown) => unknown {
  const kept = new Map<string, unknown>();
  return (value) => {
    if (value === null) return undefined;
    if (typeof value === 'number' || typeof value === 'boolean') return value;
    const key = typeof value === 'string' ? value : JSON.stringify(value);
    const known = kept.get(key);
    if (known !== undefined) return known;
    if (kept.size < mostKept) kept.set(key, value);
    return value;
  };
}
