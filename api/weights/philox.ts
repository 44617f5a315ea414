// Philox4x32-10 (Salmon et al., 2011): random words as a pure function of key and counter.

const roundKeys = [0x9e3779b9, 0xbb67ae85];

// The high and low halves of the 64-bit product, from 16-bit pieces: doubles hold no 64 bits.
function product(a: number, b: number): [number, number] {
  const al = a & 0xffff;
  const ah = a >>> 16;
  const bl = b & 0xffff;
  const bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16);
  const low = al * bh + (middle & 0xffff);
  return [
    (ah * bh + Math.floor(middle / 65536) + Math.floor(low / 65536)) >>> 0,
    Math.imul(a, b) >>> 0,
  ];
}

/** The four words of one block. `counter` has 4, `key` 2 unsigned 32-bit words. */
export function philoxBlock(
  counter: readonly number[],
  key: readonly number[],
): [number, number, number, number] {
  let [x0, x1, x2, x3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = product(0xd2511f53, x0);
    const [high1, low1] = product(0xcd9e8d57, x2);
    [x0, x1, x2, x3] = [(high1 ^ x1 ^ k0) >>> 0, low1, (high0 ^ x3 ^ k1) >>> 0, low0];
    k0 = (k0 + roundKeys[0]) >>> 0;
    k1 = (k1 + roundKeys[1]) >>> 0;
  }
  return [x0, x1, x2, x3];
}

export type RandomWords = {
  /** The next unsigned 32-bit word. */
  word: () => number;
  /** A whole number from 0 to n - 1, n at most 2^32, without bias. */
  below: (n: number) => number;
  /** A whole number from 0 to 2^52 - 1. */
  below52: () => number;
};

/** The stream of words of a key: blocks 0, 1, 2 ..., words x0 to x3 of each. */
export function philoxWords(key: readonly [number, number]): RandomWords {
  let words: number[] = [];
  let next = 4;
  let block = 0;
  const word = () => {
    if (next === 4) {
      words = philoxBlock([block++, 0, 0, 0], key);
      next = 0;
    }
    return words[next++];
  };
  const below = (n: number) => {
    const limit = Math.floor(2 ** 32 / n) * n;
    let taken = word();
    while (taken >= limit) taken = word();
    return taken % n;
  };
  const below52 = () => {
    const high = word();
    return (high >>> 12) * 2 ** 32 + word();
  };
  return { word, below, below52 };
}
