// What a snapshot gives to each subgroup of cases, beside what validation holds of it. Cases pass
// by a page at a time; nothing is kept of them but sums.

import type { SharesQuery, SubgroupShares } from '../../contract/shares.ts';
import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { listCaseColumnPages } from '../../store/cases.ts';
import { findRuleSetById } from '../../store/rule-sets.ts';
import type { SnapshotRow } from '../../store/snapshots.ts';
import { findSide } from '../../store/splits.ts';
import { effectiveTotal } from '../../weights/moves.ts';
import {
  type Grouping,
  groupingFault,
  type ShareCounter,
  shareCounter,
} from '../../weights/shares.ts';
import { requireDataset } from '../datasets.ts';
import { requireVersion } from '../versions.ts';
import { loadNumbers } from './numbers.ts';
import { requireSnapshot } from './read.ts';

/**
 * Shares by each attribute in the rules' `groups`, or by one named attribute. Throws `not-found`,
 * and `unprocessable` where that attribute cannot group cases.
 */
export async function subgroupShares(
  deps: Deps,
  actor: Actor,
  { snapshot: key, ...query }: SharesQuery & { snapshot: string },
): Promise<SubgroupShares> {
  const row = await requireSnapshot(deps, actor, key);
  const groupings = await groupingsOf(deps, actor, { row, query });
  const numbers = await loadNumbers(deps, row);
  const validation = await validationSide(deps, row);
  const given = { numbers, effectiveTotal: effectiveTotal(numbers), validation };
  const counters = groupings.map((grouping) => shareCounter(grouping, given));
  const names = groupings.map(({ attribute }) => attribute);
  await countCases(deps, { row, names, counters });
  return { snapshot: row.digest, rows: counters.flatMap((counter) => counter.rows()) };
}

async function groupingsOf(
  deps: Deps,
  actor: Actor,
  { row, query: { by, bins } }: { row: SnapshotRow; query: SharesQuery },
): Promise<Grouping[]> {
  const { datasetId, version, ruleSetId } = row;
  if (by === undefined) {
    const ruleSet = await findRuleSetById(deps.database.orm, { datasetId, id: ruleSetId });
    return (ruleSet?.rules.groups ?? []).map((attribute) => ({ attribute }));
  }
  const dataset = await requireDataset(deps, actor, datasetId);
  const { attributes } = await requireVersion(deps, { datasetId, number: version }, 'committed');
  const fault = groupingFault({ attribute: by, bins }, attributes ?? dataset.attributes);
  if (fault === null) return [{ attribute: by, bins }];
  throw new ProblemError('unprocessable', `The cases cannot be grouped: ${fault}.`, {
    errors: [{ pointer: '/by', detail: fault }],
  });
}

// By ordinal 1 on the validation side; null for fold "all", which has none.
async function validationSide(deps: Deps, row: SnapshotRow): Promise<Uint8Array | null> {
  const { datasetId, version, split, header } = row;
  const key = { datasetId, version, split, fold: header.fold, side: 'val' as const };
  const ordinals = await findSide(deps.database.orm, key);
  if (ordinals === null) return null;
  const marks = new Uint8Array(ordinals.reduce((a, b) => Math.max(a, b), 0) + 1);
  for (const ordinal of ordinals) marks[ordinal] = 1;
  return marks;
}

async function countCases(
  deps: Deps,
  { row, names, counters }: { row: SnapshotRow; names: string[]; counters: ShareCounter[] },
): Promise<void> {
  const { datasetId, version } = row;
  if (names.length === 0) return;
  for await (const page of listCaseColumnPages(deps.database.orm, { datasetId, version, names })) {
    for (const { ordinal, values } of page) {
      for (let k = 0; k < counters.length; k++) counted(counters[k], ordinal, values[k]);
    }
  }
}

function counted(counter: ShareCounter, ordinal: number, value: unknown): void {
  try {
    counter.add(ordinal, value ?? undefined);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new ProblemError('unprocessable', `The cases cannot be grouped: ${cause.message}.`);
  }
}
