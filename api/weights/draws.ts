// The plan of an epoch: systematic draws in a random order (METHOD.md section 6). Each case is
// drawn floor(M q) or ceil(M q) times, and anyone can replay it.

import { sha256 } from '@noble/hashes/sha2.js';
import { philoxWords, type RandomWords } from './philox.ts';
import { unitSum, wholeUnits } from './units.ts';

/** The most draws of one epoch: beyond it the points are no longer exact in doubles. */
export const maxDraws = 2 ** 26;

export type PlanInput = {
  /** Snapshot digest, `sha256:<hex>`. */
  digest: string;
  /** Draw units out of 2^52 of each case, in id order (UTF-8 bytes). */
  drawUnits: ArrayLike<number>;
  seed: number;
  epoch: number;
  drawsPerEpoch: number;
};

/** The Philox key of an epoch: first 8 bytes of SHA-256, as two little-endian words. */
export function drawKey({
  digest,
  seed,
  epoch,
}: Pick<PlanInput, 'digest' | 'seed' | 'epoch'>): [number, number] {
  const text = `counterweight/draws/1|${digest}|${seed}|${epoch}`;
  const bytes = sha256(new TextEncoder().encode(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  return [view.getUint32(0, true), view.getUint32(4, true)];
}

function shuffle(places: Uint32Array, random: RandomWords): void {
  for (let i = places.length - 1; i >= 1; i--) {
    const j = random.below(i + 1);
    const held = places[i];
    places[i] = places[j];
    places[j] = held;
  }
}

/**
 * Indices of the drawn cases in plan order, `drawsPerEpoch` of them (METHOD.md section 6). Throws
 * RangeError for numbers out of their range and for units that do not sum to 2^52.
 */
export function drawPlan({ drawUnits, drawsPerEpoch: draws, ...key }: PlanInput): Uint32Array {
  if (!Number.isInteger(draws) || draws < 1 || draws > maxDraws) {
    throw new RangeError(`draws per epoch must be 1 to ${maxDraws}, not ${draws}`);
  }
  if (!Number.isSafeInteger(key.seed) || key.seed < 0) throw new RangeError(`seed ${key.seed}`);
  if (!Number.isSafeInteger(key.epoch) || key.epoch < 0) throw new RangeError(`epoch ${key.epoch}`);
  const sum = unitSum(drawUnits);
  if (sum !== wholeUnits) throw new RangeError(`draw units sum to ${sum}, not to 2^52`);
  const random = philoxWords(drawKey(key));
  const order = new Uint32Array(drawUnits.length);
  for (let k = 0; k < order.length; k++) order[k] = k;
  shuffle(order, random);
  const picks = pointPicks(drawUnits, order, random.below52(), draws);
  shuffle(picks, random);
  return picks;
}

// Point j stands at j A + floor((u + j r) / M), where 2^52 = M A + r: j 2^52 / M without rounding.
// The quotient is carried along as whole numbers: `rest` is (u + j r) mod M.
function pointPicks(
  drawUnits: ArrayLike<number>,
  order: Uint32Array,
  offset: number,
  draws: number,
): Uint32Array {
  const r = wholeUnits % draws;
  const a = (wholeUnits - r) / draws;
  const picks = new Uint32Array(draws);
  let rest = offset % draws;
  let point = (offset - rest) / draws;
  let drawn = order[0];
  let end = drawUnits[drawn];
  for (let j = 0, place = 0; j < draws; j++) {
    while (point >= end) {
      drawn = order[++place];
      end += drawUnits[drawn];
    }
    picks[j] = drawn;
    point += a;
    rest += r;
    if (rest >= draws) {
      rest -= draws;
      point++;
    }
  }
  return picks;
}
