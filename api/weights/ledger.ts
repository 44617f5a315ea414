// The draw ledger: SHA-256 over the drawn ids in plan order, each followed by a newline
// (METHOD.md section 6).

import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

export type Ledger = { add: (id: string) => void; digest: () => string };

/** A ledger that grows draw by draw; `digest` may be asked at any time. */
export function createLedger(): Ledger {
  const hash = sha256.create();
  const encoder = new TextEncoder();
  let held = '';
  const flush = () => {
    hash.update(encoder.encode(held));
    held = '';
  };
  return {
    add: (id) => {
      held += `${id}\n`;
      if (held.length > 65_536) flush();
    },
    digest: () => {
      flush();
      return `sha256:${bytesToHex(hash.clone().digest())}`;
    },
  };
}

/** The ledger digest of draws in plan order, `sha256:<hex>` (METHOD.md section 6). */
export function ledgerDigest(ids: Iterable<string>): string {
  const ledger = createLedger();
  for (const id of ids) ledger.add(id);
  return ledger.digest();
}
