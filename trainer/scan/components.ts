// Connected components of a class: voxels that touch by a face, an edge or a corner belong
// together.

import type { Size } from '../nifti.ts';

/** The number of 26-connected components of voxels with one of the values. */
export function countComponents(labels: Uint8Array, shape: Size, values: number[]): number {
  const within = new Uint8Array(256);
  for (const value of values) within[value] = 1;
  const seen = new Uint8Array(labels.length);
  const stack: number[] = [];
  let count = 0;
  for (let start = 0; start < labels.length; start++) {
    if (within[labels[start]] === 0 || seen[start] === 1) continue;
    count++;
    seen[start] = 1;
    stack.push(start);
    while (stack.length > 0) {
      for (const next of neighbours(stack.pop() as number, shape)) {
        if (within[labels[next]] === 0 || seen[next] === 1) continue;
        seen[next] = 1;
        stack.push(next);
      }
    }
  }
  return count;
}

function* neighbours(voxel: number, [depth, height, width]: Size): Generator<number> {
  const z = Math.floor(voxel / (height * width));
  const y = Math.floor(voxel / width) % height;
  const x = voxel % width;
  for (let dz = Math.max(0, z - 1); dz <= Math.min(depth - 1, z + 1); dz++) {
    for (let dy = Math.max(0, y - 1); dy <= Math.min(height - 1, y + 1); dy++) {
      for (let dx = Math.max(0, x - 1); dx <= Math.min(width - 1, x + 1); dx++) {
        yield (dz * height + dy) * width + dx;
      }
    }
  }
}
