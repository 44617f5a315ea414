// Signing secrets: made here, kept encrypted under a key of the deployment, which the database does
// not have. AES-256-GCM, bound to the webhook, so that a row copied to another one does not open.

import type { RandomBytes } from '../../ids.ts';
import { fromBase64, toBase64 } from '../base64.ts';

export type SecretBox = {
  /** `iv`: 12 random bytes, never the same twice. */
  seal: (kept: { id: string; secret: string; iv: Uint8Array }) => Promise<string>;
  /** Throws a sentence where no key of the deployment opens it. */
  open: (kept: { id: string; sealed: string }) => Promise<string>;
};

const hint = 'make one with "openssl rand -base64 32"';
const ivBytes = 12;

/**
 * The box of CW_WEBHOOK_KEY: 32 bytes in base64. Of several, separated by commas, the first seals
 * and each opens. Throws a sentence naming the variable.
 */
export async function secretBoxOf(text: string | undefined): Promise<SecretBox | undefined> {
  const parts = (text ?? '').split(/[\s,]+/).filter((part) => part !== '');
  if (parts.length === 0) return undefined;
  const keys = await Promise.all(parts.map(readKey));
  return {
    seal: async ({ id, secret, iv }) => {
      const plain = new TextEncoder().encode(secret);
      const sealed = await crypto.subtle.encrypt(cipher(id, iv), keys[0], plain);
      return toBase64(Uint8Array.from([...iv, ...new Uint8Array(sealed)]));
    },
    open: async ({ id, sealed }) => {
      const bytes = fromBase64(sealed);
      const mode = cipher(id, bytes.slice(0, ivBytes));
      for (const key of keys) {
        const plain = await crypto.subtle
          .decrypt(mode, key, bytes.slice(ivBytes))
          .catch(() => undefined); // not of this key
        if (plain !== undefined) return new TextDecoder().decode(plain);
      }
      throw new Error(
        'the secret does not open under CW_WEBHOOK_KEY of this deployment; put the key that it was made under back, after a comma, or make the webhook anew',
      );
    },
  };
}

const cipher = (id: string, iv: Uint8Array) => ({
  name: 'AES-GCM',
  iv: Uint8Array.from(iv),
  additionalData: new TextEncoder().encode(`webhook/${id}`),
});

async function readKey(text: string): Promise<CryptoKey> {
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = fromBase64(text);
  } catch (cause) {
    throw new Error(`CW_WEBHOOK_KEY is no base64; ${hint}`, { cause });
  }
  if (bytes.length !== 32) {
    throw new Error(`CW_WEBHOOK_KEY has ${bytes.length} bytes and not 32; ${hint}`);
  }
  return await crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['encrypt', 'decrypt']);
}

/** A new signing secret as Standard Webhooks writes it: `whsec_` and base64 of 32 random bytes. */
export function newSigningSecret(randomBytes: RandomBytes): string {
  return `whsec_${toBase64(randomBytes(32))}`;
}

/**
 * The headers that Standard Webhooks 1.0.0 asks for; `at` is the time of this try. The signature is
 * HMAC-SHA256 over id, seconds and body, joined by dots.
 */
export async function signedHeaders({
  secret,
  id,
  at,
  body,
}: {
  secret: string;
  id: string;
  at: Date;
  body: string;
}): Promise<Record<string, string>> {
  const seconds = String(Math.floor(at.getTime() / 1000));
  const raw = fromBase64(secret.replace(/^whsec_/, ''));
  const mode = { name: 'HMAC', hash: 'SHA-256' };
  const key = await crypto.subtle.importKey('raw', raw, mode, false, ['sign']);
  const signed = new TextEncoder().encode(`${id}.${seconds}.${body}`);
  const signature = new Uint8Array(await crypto.subtle.sign('HMAC', key, signed));
  return {
    'webhook-id': id,
    'webhook-timestamp': seconds,
    'webhook-signature': `v1,${toBase64(signature)}`,
  };
}
