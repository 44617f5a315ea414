// SHA-256 over text that arrives in pieces; WebCrypto can only digest what is whole in memory.

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

export type RunningSha256 = { add: (text: string) => void; digest: () => string };

/** Small pieces are joined first: each update costs more than it hashes. */
const joinedLength = 16_384;

export function runningSha256(): RunningSha256 {
  const hash = sha256.create();
  const encoder = new TextEncoder();
  let joined = '';
  const flush = () => {
    hash.update(encoder.encode(joined));
    joined = '';
  };
  return {
    add: (text) => {
      joined += text;
      if (joined.length >= joinedLength) flush();
    },
    digest: () => {
      flush();
      return `sha256:${bytesToHex(hash.digest())}`;
    },
  };
}
