// The signature of a chain's head. Ed25519 of WebCrypto alone, so it is the same in Node and in
// workerd.

import { canonicalText } from '../../ids.ts';
import { fromBase64, toBase64 } from '../base64.ts';

/** The newest entry of a chain: what is signed is its canonical JSON, these four keys. */
export type Head = { workspace: string; sequence: number; hash: string; at: string | null };

export type Signature = {
  algorithm: 'Ed25519';
  /** Base64 of the key as SubjectPublicKeyInfo (DER). */
  publicKey: string;
  /** The first 16 hex digits of SHA-256 over those DER bytes. */
  keyId: string;
  /** Base64 of the 64 bytes. */
  value: string;
};

export type AuditKey = Pick<Signature, 'algorithm' | 'publicKey' | 'keyId'> & {
  sign: (head: Head) => Promise<Signature>;
};

/** The key of CW_AUDIT_SIGNING_KEY; throws a sentence naming it for one that cannot be used. */
export async function auditKeyOf(text: string | undefined): Promise<AuditKey | undefined> {
  if (text === undefined || text.trim() === '') return undefined;
  try {
    return await readAuditKey(text);
  } catch (cause) {
    throw new Error(`CW_AUDIT_SIGNING_KEY: ${(cause as Error).message}`, { cause });
  }
}

/** The bytes before the 32 of an Ed25519 public key in SubjectPublicKeyInfo. */
const prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/** Reads a private key, PKCS8 as PEM or base64; throws a sentence that says what is wrong. */
async function readAuditKey(text: string): Promise<AuditKey> {
  const body = text.replace(/-----(BEGIN|END) PRIVATE KEY-----/g, '').replace(/\s+/g, '');
  let signing: CryptoKey;
  try {
    const bytes = fromBase64(body);
    signing = await crypto.subtle.importKey('pkcs8', bytes, 'Ed25519', true, ['sign']);
  } catch (cause) {
    const hint = 'make one with "openssl genpkey -algorithm ed25519"';
    throw new Error(`it is no Ed25519 private key in PKCS8, as PEM or base64; ${hint}`, { cause });
  }
  const { x } = await crypto.subtle.exportKey('jwk', signing);
  const raw = fromBase64((x as string).replace(/-/g, '+').replace(/_/g, '/'));
  const der = Uint8Array.from([...prefix, ...raw]);
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', der));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const shown = {
    algorithm: 'Ed25519',
    publicKey: toBase64(der),
    keyId: hex.slice(0, 16),
  } as const;
  return {
    ...shown,
    sign: async (head) => {
      const bytes = new TextEncoder().encode(headText(head));
      const value = new Uint8Array(await crypto.subtle.sign('Ed25519', signing, bytes));
      return { ...shown, value: toBase64(value) };
    },
  };
}

/** The text that a signature is over. */
export function headText({ workspace, sequence, hash, at }: Head): string {
  return canonicalText({ workspace, sequence, hash, at });
}
