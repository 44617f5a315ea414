// What the vectors of a chunk are, as bytes: the digest that every chunk keeps of itself, and the
// one over all chunks that the audit entry of the snapshot keeps.

/** Cases of one chunk: `ordinals`, units out of 2^52, loss factors and scores, in digest order. */
export type SnapshotVectors = {
  ordinals: Int32Array;
  targetUnits: Float64Array;
  drawUnits: Float64Array;
  lossFactors: Float64Array;
  scores: Float64Array;
};

const names = ['ordinals', 'targetUnits', 'drawUnits', 'lossFactors', 'scores'] as const;

/**
 * SHA-256 of a chunk's five vectors, `sha256:<hex>`. The bytes are, for ordinals, target units,
 * draw units, loss factors and scores in this order: the number of elements as an unsigned 32-bit
 * integer, then the elements; ordinals as signed 32-bit integers, all others as IEEE-754 float64
 * (units are whole numbers up to 2^52, so a float64 holds them exactly). All little-endian.
 */
export async function vectorsDigest(vectors: SnapshotVectors): Promise<string> {
  const size = names.reduce((sum, name) => sum + 4 + vectors[name].byteLength, 0);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const name of names) {
    const vector = vectors[name];
    view.setUint32(at, vector.length, true);
    at += 4;
    writeElements(view, at, vector);
    at += vector.byteLength;
  }
  return named(await crypto.subtle.digest('SHA-256', bytes));
}

function writeElements(view: DataView, from: number, vector: Int32Array | Float64Array): void {
  if (vector instanceof Int32Array) {
    for (let k = 0; k < vector.length; k++) view.setInt32(from + 4 * k, vector[k], true);
  } else {
    for (let k = 0; k < vector.length; k++) view.setFloat64(from + 8 * k, vector[k], true);
  }
}

/** SHA-256 over the chunk digests in order, as text, each followed by a newline. */
export async function digestOfChunks(digests: string[]): Promise<string> {
  const text = digests.map((digest) => `${digest}\n`).join('');
  return named(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
}

function named(digest: ArrayBuffer): string {
  const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0'));
  return `sha256:${hex.join('')}`;
}
