// Replayed plans of the jobs that are reporting now: an epoch is reported in many ranges, and its
// plan is the same each time. A few are kept per deployment, the oldest goes first.

import type { Deps } from '../../deps.ts';
import { drawPlan } from '../../weights/draws.ts';
import { type DrawTable, drawTable } from '../snapshots/read.ts';

type PlanKey = { snapshotId: string; seed: number; epoch: number; drawsPerEpoch: number };
type Kept = { tables: Map<string, Promise<DrawTable>>; plans: Map<string, Promise<string[]>> };

const keptOf = new WeakMap<Deps, Kept>();
const most = { tables: 4, plans: 8 };

/** The ids of an epoch's draws in plan order. */
export async function plannedIds(deps: Deps, key: PlanKey): Promise<string[]> {
  const kept = keptOf.get(deps) ?? { tables: new Map(), plans: new Map() };
  keptOf.set(deps, kept);
  return await remembered(kept.plans, JSON.stringify(key), most.plans, async () => {
    const load = () => drawTable(deps, key.snapshotId);
    const table = await remembered(kept.tables, key.snapshotId, most.tables, load);
    const plan = drawPlan({ ...table, ...key });
    return Array.from(plan, (place) => table.ids[place]);
  });
}

async function remembered<Value>(
  kept: Map<string, Promise<Value>>,
  key: string,
  limit: number,
  make: () => Promise<Value>,
): Promise<Value> {
  const value = kept.get(key) ?? make();
  kept.delete(key);
  kept.set(key, value);
  if (kept.size > limit) kept.delete(kept.keys().next().value as string);
  try {
    return await value;
  } catch (error) {
    kept.delete(key);
    throw error;
  }
}
