// Lineage of a snapshot: relatives, sources, jobs, approvals, and when an alias stood on it.

import type { Lineage, Standing } from '../../contract/lineage.ts';
import type { Actor, Deps } from '../../deps.ts';
import { type AliasMoveRow, listAliasMoves, listAliasNamesOf } from '../../store/aliases.ts';
import { listChildren, listJobsOf, listParents, type Relative } from '../../store/lineage.ts';
import { findRuleSetById, type RuleSetRow } from '../../store/rule-sets.ts';
import { pageOfApprovals } from '../approvals.ts';
import { requireSnapshot } from './read.ts';

function relativeView({ id, digest, header, createdAt, createdBy }: Relative) {
  return { id, digest, cause: header.cause, createdAt: createdAt.toISOString(), createdBy };
}

/** Everything that a snapshot comes from and that was made of it. */
export async function snapshotLineage(deps: Deps, actor: Actor, key: string): Promise<Lineage> {
  const orm = deps.database.orm;
  const row = await requireSnapshot(deps, actor, key);
  const { id, datasetId, digest, header } = row;
  const parents = await listParents(orm, row);
  const children = await listChildren(orm, id);
  const ruleSet = await findRuleSetById(orm, { datasetId, id: row.ruleSetId });
  const { name, version, digest: rulesDigest } = ruleSet as RuleSetRow; // a foreign key
  const names = await listAliasNamesOf(orm, { datasetId, snapshotId: id });
  const moves = names.length === 0 ? [] : await listAliasMoves(orm, { datasetId, names });
  return {
    snapshot: digest,
    parents: parents.map(relativeView),
    children: children.map(relativeView),
    ruleSet: { name, version, digest: rulesDigest },
    datasetVersion: {
      dataset: header.dataset,
      number: row.version,
      digest: header.datasetVersionDigest,
    },
    jobs: await listJobsOf(orm, { id, digest, parentIds: parents.map((parent) => parent.id) }),
    approvals: await pageOfApprovals(deps, actor, { snapshot: id }),
    aliases: standingsOf(moves, id),
  };
}

type Move = Pick<AliasMoveRow, 'name' | 'number' | 'snapshots' | 'createdAt'>;

/**
 * The times that aliases stood on a snapshot. `moves` are whole histories, in the order of names
 * and numbers; a move that leaves a fold where it was does not end its time.
 */
export function standingsOf(moves: Move[], snapshotId: string): Standing[] {
  const standings: Standing[] = [];
  for (const move of moves) {
    for (const standing of standings) {
      const here = move.snapshots[String(standing.fold)] === snapshotId;
      if (standing.name !== move.name || !standing.current || here) continue;
      standing.current = false;
      standing.until = move.createdAt.toISOString();
    }
    for (const [key, id] of Object.entries(move.snapshots)) {
      const fold = key === 'all' ? 'all' : Number(key);
      const stands = (one: Standing) => one.name === move.name && one.fold === fold && one.current;
      if (id !== snapshotId || standings.some(stands)) continue;
      const { name, number } = move;
      const from = move.createdAt.toISOString();
      standings.push({ name, number, fold, current: true, from, until: null });
    }
  }
  return standings;
}
