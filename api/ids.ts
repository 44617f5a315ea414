// Ids, secrets, digests of texts. An id is a lower-case ULID: 48 bits of time, 80 of randomness, so
// that lists in id order are lists in time order and an id is legal in the names of every engine.

import canonicalize from 'canonicalize';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';

export type RandomBytes = (count: number) => Uint8Array;

function base32(value: bigint, characters: number): string {
  let text = '';
  for (let rest = value, k = 0; k < characters; k++, rest >>= 5n) {
    text = alphabet[Number(rest & 31n)] + text;
  }
  return text;
}

function bigEndian(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/** A new id: 26 characters of lower-case Crockford base32, in time order. */
export function newId({ now, randomBytes }: { now: () => Date; randomBytes: RandomBytes }): string {
  return base32(BigInt(now().getTime()), 10) + base32(bigEndian(randomBytes(10)), 16);
}

/** A new bearer secret, `cw_` and 52 characters: 256 random bits. Stored only as its SHA-256. */
export function newSecret(randomBytes: RandomBytes): string {
  return `cw_${base32(bigEndian(randomBytes(32)), 52)}`;
}

/** RFC 8785 canonical JSON of a value as JSON would keep it: dates as ISO text, no undefined. */
export function canonicalText(value: unknown): string {
  return canonicalize(JSON.parse(JSON.stringify(value))) as string;
}

/** SHA-256 of a text as `sha256:<hex>`. */
export async function sha256Text(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text));
  return `sha256:${Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, '0')).join('')}`;
}
