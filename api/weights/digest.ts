// The snapshot digest (METHOD.md section 5): canonical header, then the SHA-256 of every chunk of
// 8,192 cases. Cases must stand in id order, by UTF-8 bytes; that is not JavaScript's order.

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import canonicalize from 'canonicalize';
import type { SnapshotHeader } from '../contract/snapshots.ts';

export const chunkCases = 8_192;

/** Orders ids by their UTF-8 bytes, which is the order of their code points. */
export function compareIds(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let k = 0; k < length; k++) {
    const x = a.charCodeAt(k);
    const y = b.charCodeAt(k);
    if (x !== y) return rank(x) - rank(y);
  }
  return a.length - b.length;
}

// UTF-16 puts surrogates (above U+FFFF) before U+E000 to U+FFFF; UTF-8 puts them after.
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

const bits = new DataView(new ArrayBuffer(8));

/** The bits of a float64 as 16 lower-case hex digits, most significant first. */
export function floatHex(value: number): string {
  bits.setFloat64(0, value);
  return (
    bits.getUint32(0).toString(16).padStart(8, '0') +
    bits.getUint32(4).toString(16).padStart(8, '0')
  );
}

export type RunningDigest = {
  /** The next case in id order; units are whole numbers out of 2^52. */
  add: (
    id: string,
    targetUnits: number | string,
    drawUnits: number | string,
    lossFactor: number,
  ) => void;
  digest: () => string;
  chunkDigests: () => string[];
};

/** The digest of a snapshot, case by case, in constant memory; it may be asked at any time. */
export function runningDigest(header: SnapshotHeader): RunningDigest {
  const encoder = new TextEncoder();
  const whole = sha256.create().update(encoder.encode(canonicalHeader(header)));
  const closed: string[] = [];
  let lines: string[] = [];
  const openChunk = () => sha256(encoder.encode(lines.join('')));
  const name = (digest: Uint8Array) => `sha256:${bytesToHex(digest)}`;
  return {
    add: (id, targetUnits, drawUnits, lossFactor) => {
      lines.push(`${id}\t${targetUnits}\t${drawUnits}\t${floatHex(lossFactor)}\n`);
      if (lines.length < chunkCases) return;
      const chunk = openChunk();
      whole.update(chunk);
      closed.push(name(chunk));
      lines = [];
    },
    digest: () => {
      const soFar = whole.clone();
      if (lines.length > 0) soFar.update(openChunk());
      return name(soFar.digest());
    },
    chunkDigests: () => (lines.length > 0 ? [...closed, name(openChunk())] : [...closed]),
  };
}

/** The text that a digest starts with: the header as RFC 8785 canonical JSON, and a newline. */
export function canonicalHeader(header: SnapshotHeader): string {
  return `${canonicalize(header)}\n`;
}

export type DigestInput = {
  header: SnapshotHeader;
  ids: string[];
  targetUnits: ArrayLike<number | string>;
  drawUnits: ArrayLike<number | string>;
  lossFactors: ArrayLike<number>;
};

/**
 * The digest of a whole snapshot, `sha256:<hex>` (METHOD.md section 5). The cases must stand in id
 * order, by UTF-8 bytes: another order gives another digest.
 */
export function snapshotDigest({
  header,
  ids,
  targetUnits,
  drawUnits,
  lossFactors,
}: DigestInput): string {
  const running = runningDigest(header);
  for (let k = 0; k < ids.length; k++) {
    running.add(ids[k], targetUnits[k], drawUnits[k], lossFactors[k]);
  }
  return running.digest();
}

/** SHA-256 over scores as big-endian float64, in digest order, -0 as 0: `sha256:<hex>`. */
export function scoresDigest(scores: Float64Array): string {
  const bytes = new DataView(new ArrayBuffer(8 * scores.length));
  for (let k = 0; k < scores.length; k++) bytes.setFloat64(8 * k, scores[k] + 0);
  return `sha256:${bytesToHex(sha256(new Uint8Array(bytes.buffer)))}`;
}
