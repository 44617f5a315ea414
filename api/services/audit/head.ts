// The head of a chain: the newest entry, signed where the deployment has a key, and written down
// elsewhere by the tick where it has a place for that.

import type { Actor, Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';
import { findAuditHead, genesisHash } from '../../store/audit.ts';
import {
  findLastAnchor,
  type HeadToAnchor,
  insertAnchor,
  listHeadsToAnchor,
} from '../../store/audit-anchors.ts';
import type { Head, Signature } from './signing.ts';

export type SignedHead = Head & { signature?: Signature };

/** Where heads are written; the shape that api/node.ts and api/worker.ts fill in. */
export type Anchor = {
  /** Named in the log and in the answer: a path or an address, without secrets. */
  target: string;
  /** Throws where the place cannot be reached or refuses. */
  write: (head: SignedHead) => Promise<void>;
};

/** How long after an anchor the next one of the same workspace is written, at the soonest. */
const betweenAnchorsMs = 60_000;

async function signed({ auditKey }: Deps, head: Head): Promise<SignedHead> {
  return auditKey === undefined ? head : { ...head, signature: await auditKey.sign(head) };
}

/** The head of the actor's workspace, and the last one that was written down elsewhere. */
export async function auditHead(deps: Deps, { workspaceId }: Actor) {
  const row = await findAuditHead(deps.database.orm, workspaceId);
  const last = await findLastAnchor(deps.database.orm, workspaceId);
  const head = await signed(deps, {
    workspace: workspaceId,
    sequence: row?.sequence ?? 0,
    hash: row?.hash ?? genesisHash,
    at: row?.at.toISOString() ?? null,
  });
  if (last === undefined) return { ...head, lastAnchored: null };
  const { sequence, hash, target } = last;
  return { ...head, lastAnchored: { sequence, hash, at: last.at.toISOString(), target } };
}

/** The public key of the deployment; throws `not-found` where it has none. */
export function auditPublicKey({ auditKey }: Deps) {
  if (auditKey !== undefined) {
    const { algorithm, publicKey, keyId } = auditKey;
    return { algorithm, publicKey, keyId };
  }
  const detail = 'This deployment signs nothing: whoever runs it has set no CW_AUDIT_SIGNING_KEY.';
  throw new ProblemError('not-found', detail);
}

/**
 * Writes the heads that changed since they were last written, a minute apart at the soonest. What
 * fails is logged and due again at the next call.
 */
export async function anchorHeads(deps: Deps): Promise<void> {
  const { anchor } = deps;
  if (anchor === undefined) return;
  const due = deps.now().getTime() - betweenAnchorsMs;
  for (const one of await listHeadsToAnchor(deps.database.orm)) {
    if (one.last !== null && one.last.at.getTime() > due) continue;
    await anchorOne(deps, anchor, one);
  }
}

async function anchorOne(deps: Deps, anchor: Anchor, one: HeadToAnchor): Promise<void> {
  const { workspaceId, sequence, hash, last } = one;
  const { target } = anchor;
  if (last !== null && last.sequence >= sequence) {
    const detail = `the audit chain ends at ${sequence}, and was anchored at ${last.sequence}`;
    deps.log('error', detail, { workspaceId });
  }
  const head = { workspace: workspaceId, sequence, hash, at: one.at.toISOString() };
  try {
    await anchor.write(await signed(deps, head));
  } catch (cause) {
    deps.log('error', `the head of the audit chain could not be written to ${target}`, { cause });
    return;
  }
  const row = { workspaceId, sequence, hash, target, at: deps.now() };
  await insertAnchor(deps.database.orm, row);
}
