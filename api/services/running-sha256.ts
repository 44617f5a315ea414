// SHA-256 over text that arrives in pieces; WebCrypto can only digest what is whole in memory.

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

export type RunningSha256 = { add: (text: string) => void; digest: () => string };

export function runningSha256(): RunningSha256 {
  const hash = sha256.create();
  const encoder = new TextEncoder();
  return {
    add: (text) => {
      hash.update(encoder.encode(text));
    },
    digest: () => `sha256:${bytesToHex(hash.digest())}`,
  };
}
