// What to say of an attribute that is not declared: the nearest declared name, by edit distance.

import type { AttributeMap } from '../contract/attributes.ts';

/** A sentence for an attribute that is not declared, with the nearest declared name. */
export function unknownAttribute(name: string, attributes: AttributeMap): string {
  const near = nearestName(name, Object.keys(attributes));
  const hint = near === null ? '' : `; did you mean "${near}"?`;
  return `no attribute "${name}" is declared for this dataset${hint}`;
}

function nearestName(name: string, names: string[]): string | null {
  const ranked = names
    .map((known) => ({ known, distance: editDistance(name.toLowerCase(), known.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 3))
    ? best.known
    : null;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, k) => k);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
