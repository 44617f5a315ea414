// The numbers of a snapshot in typed arrays by ordinal, filled a chunk at a time: what whole
// snapshots are compared and summed up by, without an id or an object for each case.

import type { Deps } from '../../deps.ts';
import { listSnapshotChunks, type SnapshotRow } from '../../store/snapshots.ts';
import type { PlacedNumbers } from '../../weights/moves.ts';

export type SnapshotNumbers = PlacedNumbers & { scores: Float64Array };

/** Loads a snapshot's numbers; arrays end at or after its largest ordinal. */
export async function loadNumbers(deps: Deps, row: SnapshotRow): Promise<SnapshotNumbers> {
  const { caseCount } = row.header;
  const numbers: SnapshotNumbers = {
    order: new Int32Array(caseCount),
    targetUnits: new Float64Array(caseCount),
    drawUnits: new Float64Array(caseCount),
    lossFactors: new Float64Array(caseCount),
    scores: new Float64Array(caseCount),
  };
  let from = 0;
  for await (const chunk of listSnapshotChunks(deps.database.orm, row.id)) {
    const { ordinals } = chunk;
    reach(
      numbers,
      ordinals.reduce((a, b) => Math.max(a, b), 0),
    );
    numbers.order.set(ordinals, from);
    from += ordinals.length;
    for (const name of ['targetUnits', 'drawUnits', 'lossFactors', 'scores'] as const) {
      const [all, some] = [numbers[name], chunk[name]];
      ordinals.forEach((ordinal, k) => {
        all[ordinal] = some[k];
      });
    }
  }
  return numbers;
}

// Ordinals of cases that are not in the snapshot leave gaps, so arrays grow beyond its case count.
function reach(numbers: SnapshotNumbers, ordinal: number): void {
  const { length } = numbers.drawUnits;
  if (ordinal < length) return;
  const longer = Math.max(ordinal + 1, Math.ceil(length * 1.5));
  for (const name of ['targetUnits', 'drawUnits', 'lossFactors', 'scores'] as const) {
    const values = new Float64Array(longer);
    values.set(numbers[name]);
    numbers[name] = values;
  }
}
