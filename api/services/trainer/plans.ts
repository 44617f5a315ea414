// Replayed plans of the jobs that are reporting now: an epoch is reported in many ranges, and its
// plan is the same each time. A few are kept per deployment, the oldest goes first.

import type { Deps } from '../../deps.ts';
import { drawPlan } from '../../weights/draws.ts';
import { type DrawTable, drawTable } from '../snapshots/read.ts';

type PlanKey = { snapshotId: string; seed: number; epoch: number; drawsPerEpoch: number };
type Kept = {
  tables: Map<string, Promise<DrawTable>>;
  plans: Map<string, Promise<Uint32Array>>;
};

const keptOf = new WeakMap<object, Kept>();
const most = { tables: 4, plans: 8 };
/** Longer plans are kept one at a time: one of 2^26 draws is 256 MiB. */
const longPlan = 2 ** 22;

/** The ids of `draws` draws of an epoch's plan, from draw `from`. */
export async function plannedIds(
  deps: Deps,
  key: PlanKey,
  { from, draws }: { from: number; draws: number },
): Promise<Iterable<string>> {
  const owner = deps.sharedWork ?? deps.process;
  const kept = keptOf.get(owner) ?? { tables: new Map(), plans: new Map() };
  keptOf.set(owner, kept);
  const load = () => drawTable(deps, key.snapshotId);
  const table = await remembered(kept.tables, key.snapshotId, most.tables, load);
  const limit = key.drawsPerEpoch > longPlan ? 1 : most.plans;
  const make = async () => drawPlan({ ...table, ...key });
  const plan = await remembered(kept.plans, JSON.stringify(key), limit, make);
  return idsOf(table, plan.subarray(from, from + draws));
}

function* idsOf(table: DrawTable, places: Uint32Array): Generator<string> {
  for (const place of places) yield table.ids[place];
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
  for (const oldest of [...kept.keys()].slice(0, -limit)) kept.delete(oldest);
  try {
    return await value;
  } catch (error) {
    kept.delete(key);
    throw error;
  }
}
