// Philox4x32-10 (Salmon et al., 2011): random words as a pure function of key and counter. Many
// blocks are made at a time, in 32-bit arithmetic only: a plan of draws takes millions of words.

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;

// The high half of the 64-bit product, from 16-bit pieces that cannot overflow 32 bits.
function highHalf(a: number, b: number): number {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = (Math.imul(ah, bl) + (Math.imul(al, bl) >>> 16)) | 0;
  const low = (Math.imul(al, bh) + (middle & 0xffff)) | 0;
  return (Math.imul(ah, bh) + (middle >>> 16) + (low >>> 16)) | 0;
}

const rounds = 10;

// Writes the words of blocks with the counters (first + k, c1, c2, c3), k = 0, 1, 2 ..., until
// `words` is full.
function writeBlocks(
  words: Uint32Array,
  [first, c1, c2, c3]: readonly number[],
  [key0, key1]: readonly number[],
): void {
  for (let at = 0, block = first | 0; at < words.length; at += 4, block++) {
    let x0 = block | 0;
    let x1 = c1 | 0;
    let x2 = c2 | 0;
    let x3 = c3 | 0;
    let k0 = key0 | 0;
    let k1 = key1 | 0;
    for (let round = 0; round < rounds; round++) {
      const high0 = highHalf(multiplier0, x0);
      const high1 = highHalf(multiplier1, x2);
      const low0 = Math.imul(multiplier0, x0);
      const low1 = Math.imul(multiplier1, x2);
      x0 = high1 ^ x1 ^ k0;
      x1 = low1;
      x2 = high0 ^ x3 ^ k1;
      x3 = low0;
      k0 = (k0 + weyl0) | 0;
      k1 = (k1 + weyl1) | 0;
    }
    words[at] = x0;
    words[at + 1] = x1;
    words[at + 2] = x2;
    words[at + 3] = x3;
  }
}

/** The four words of one block. `counter` has 4, `key` 2 unsigned 32-bit words. */
export function philoxBlock(counter: readonly number[], key: readonly number[]): number[] {
  const words = new Uint32Array(4);
  writeBlocks(words, counter, key);
  return [...words];
}

export type RandomWords = {
  /** The next unsigned 32-bit word. */
  word: () => number;
  /** A whole number from 0 to n - 1, n at most 2^32, without bias. */
  below: (n: number) => number;
  /** A whole number from 0 to 2^52 - 1. */
  below52: () => number;
};

const blocksAtOnce = 256;

/** The stream of words of a key: blocks 0, 1, 2 ..., words x0 to x3 of each. */
export function philoxWords(key: readonly [number, number]): RandomWords {
  const words = new Uint32Array(4 * blocksAtOnce);
  let block = 0;
  let next = words.length;
  const refill = () => {
    writeBlocks(words, [block, 0, 0, 0], key);
    block += blocksAtOnce;
    next = 0;
  };
  const word = () => {
    if (next === words.length) refill();
    return words[next++];
  };
  const below = (n: number) => {
    while (true) {
      const taken = word();
      const rest = taken % n;
      // Refused: words from the last multiple of n on that do not make up n of them.
      if (taken - rest <= 2 ** 32 - n) return rest;
    }
  };
  const below52 = () => {
    const high = word();
    return (high >>> 12) * 2 ** 32 + word();
  };
  return { word, below, below52 };
}
