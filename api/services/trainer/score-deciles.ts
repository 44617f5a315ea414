// The score decile of every case that a trainer reads, both sides by the rules and the statistics
// of the training side (METHOD.md section 9). Computed once for a reading; one byte a case is kept.

import type { Deps } from '../../deps.ts';
import { findDataset } from '../../store/datasets.ts';
import { findRuleSetById } from '../../store/rule-sets.ts';
import { type CaseTable, picked } from '../../weights/case-table.ts';
import { attributesRead } from '../../weights/rules.ts';
import { scoreDeciles } from '../../weights/score-deciles.ts';
import { type LoadedTable, loadSideTable } from '../snapshots/case-table.ts';
import { requireVersion } from '../versions.ts';
import { launchedSnapshot, type TrainerSession } from './session.ts';

const namedFaults = 5;

/**
 * The decile (0 to 9) of a case by its storage ordinal; null for a case that has no score, which is
 * said in the log, and for all where no term scores cases.
 */
export async function decilesOf(
  deps: Deps,
  session: TrainerSession,
): Promise<(ordinal: number) => number | null> {
  const { orm } = deps.database;
  const { job } = session;
  const snapshot = await launchedSnapshot(deps, session);
  const { datasetId, version, split, header, excluded } = snapshot;
  const ruleSet = await findRuleSetById(orm, { datasetId, id: snapshot.ruleSetId });
  const dataset = await findDataset(orm, { workspaceId: job.workspaceId, key: datasetId });
  if (ruleSet === undefined || dataset === undefined) return () => null;
  const { rules } = ruleSet;
  if (rules.sampling.terms.length === 0) return () => null;
  const { attributes: own } = await requireVersion(
    deps,
    { datasetId, number: version },
    'committed',
  );
  const attributes = own ?? dataset.attributes;
  const names = [...attributesRead(rules, attributes)].sort();
  const key = { datasetId, version, split, fold: header.fold, names };
  const train = await loadSideTable(orm, { ...key, side: 'train' });
  const val = await loadSideTable(orm, { ...key, side: 'val' });
  const left = new Set(excluded.map(({ id }) => id));
  const places = Uint32Array.from(train.ids.keys()).filter((k) => !left.has(train.ids[k]));
  const training: CaseTable = picked(train, places);
  const found = scoreDeciles({ training, validation: val, attributes, rules });
  if (found.faults.length > 0) {
    const some = found.faults.slice(0, namedFaults).map(({ detail }) => detail);
    const message = `${found.faults.length} validation cases of job ${job.id} have no score decile`;
    deps.log('warn', message, { faults: some });
  }
  const deciles = byOrdinal([train, val]);
  val.ordinals.forEach((ordinal, k) => {
    deciles[ordinal] = found.validation[k];
  });
  places.forEach((place, k) => {
    deciles[train.ordinals[place]] = found.training[k];
  });
  return (ordinal) =>
    deciles[ordinal] === undefined || deciles[ordinal] < 0 ? null : deciles[ordinal];
}

function byOrdinal(tables: LoadedTable[]): Int8Array {
  let most = -1;
  for (const { ordinals } of tables) for (const ordinal of ordinals) most = Math.max(most, ordinal);
  return new Int8Array(most + 1).fill(-1);
}
