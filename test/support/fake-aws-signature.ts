// Signature Version 4 from AWS's description of it, written apart from what the launcher signs
// with: so a signature is checked by something that does not share its mistakes.

import { createHash, createHmac } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

export type SignedRequest = {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
};
type Secrets = { access: string; secret: string; session?: string };

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const hmac = (key: string | Buffer, text: string) =>
  createHmac('sha256', key).update(text).digest();

const shape =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8}\/[^/]+\/[^/]+\/aws4_request), SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/;

/** The name of AWS's error, or null where the signature holds for a service in a region. */
export function signatureFault(
  { method, url, headers, body }: SignedRequest,
  { access, secret, session }: Secrets,
  { service, region, now }: { service: string; region: string; now: Date },
): string | null {
  const [, key, scope, signed, signature] = headers.authorization?.match(shape) ?? [];
  if (signature === undefined) return 'MissingAuthenticationTokenException';
  if (key !== access) return 'UnrecognizedClientException';
  if (headers['x-amz-security-token'] !== session) return 'UnrecognizedClientException';
  const date = String(headers['x-amz-date']);
  const names = signed.split(';');
  if (session !== undefined && !names.includes('x-amz-security-token')) {
    return 'InvalidSignatureException';
  }
  if (scope !== `${date.slice(0, 8)}/${region}/${service}/aws4_request`) {
    return 'InvalidSignatureException';
  }
  const at = date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z');
  if (!(Math.abs(Date.parse(at) - now.getTime()) < 300_000)) return 'InvalidSignatureException';
  const [path, query = ''] = url.split('?');
  const canonical = [
    method,
    path,
    query,
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    signed,
    sha256(body),
  ].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n');
  const keyOf = scope.split('/').reduce<string | Buffer>(hmac, `AWS4${secret}`);
  const expected = hmac(keyOf, toSign).toString('hex');
  return expected === signature ? null : 'InvalidSignatureException';
}
