// The cases of one training side as columns: only the attributes that the rules read leave the
// database, and no object is kept per case, so a million cases fit.

import { ProblemError } from '../../errors.ts';
import { listCaseColumns } from '../../store/cases.ts';
import type { Orm } from '../../store/database.ts';
import { findSide } from '../../store/splits.ts';
import type { CaseTable } from '../../weights/case-table.ts';

const pageSize = 10_000;

export type LoadedTable = CaseTable & { ordinals: number[] };

/** Loads the training side of a fold in id order with the named attributes. */
export async function loadCaseTable(
  orm: Orm,
  key: { datasetId: string; version: number; split: string; fold: number | 'all'; names: string[] },
): Promise<LoadedTable> {
  const side = await findSide(orm, { ...key, side: 'train' });
  const members = side === null ? null : new Set(side);
  const columns: Record<string, unknown[]> = {};
  for (const name of key.names) columns[name] = [];
  const table: LoadedTable = { ids: [], ordinals: [], columns };
  for (let after = ''; ; ) {
    const page = await listCaseColumns(orm, { ...key, after, limit: pageSize });
    for (const { ordinal, caseId, values } of page) {
      if (members !== null && !members.has(ordinal)) continue;
      table.ids.push(caseId);
      table.ordinals.push(ordinal);
      for (const [k, name] of key.names.entries()) columns[name].push(values[k] ?? undefined);
    }
    if (page.length < pageSize) break;
    after = page[page.length - 1].caseId;
  }
  if (table.ids.length === 0) {
    throw new ProblemError(
      'unprocessable',
      `Fold ${key.fold} of split "${key.split}" has no training cases; nothing can be drawn from it.`,
    );
  }
  return table;
}
