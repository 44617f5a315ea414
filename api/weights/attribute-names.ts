// What to say of an attribute that is not declared: the nearest declared name, by edit distance.

import type { AttributeMap } from '../contract/attributes.ts';

/** A sentence for an attribute that is not declared, with the nearest declared name. */
export function unknownAttribute(name: string, attributes: AttributeMap): string {
  const near = nearestName(name, Object.keys(attributes));
  const hint = near === null ? '' : `; did you mean "${near}"?`;
  return `no attribute "${name}" is declared for this dataset${hint}`;
}

/**
 * The name that was probably meant, or null: whatever the case of letters, at most two letters
 * typed wrong, left out, added or swapped with the next, and at most a third of them.
 */
export function nearestName(name: string, names: readonly string[]): string | null {
  const most = Math.min(2, Math.max(1, Math.floor(name.length / 3)));
  let nearest: string | null = null;
  let least = most + 1;
  for (const known of names) {
    const exact = editDistance(name, known);
    // A letter in the wrong case is far less of a mistake than another letter.
    const distance = editDistance(name.toLowerCase(), known.toLowerCase()) + exact / 1000;
    if (distance >= least) continue;
    nearest = known;
    least = distance;
  }
  return nearest;
}

// Letters to change, leave out, add, or swap with their neighbour.
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const changed = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j] + 1, next[j - 1] + 1));
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) next[j] = Math.min(next[j], before[j - 2] + 1);
    }
    before = row;
    row = next;
  }
  return row[b.length];
}
