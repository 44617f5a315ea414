// A token of GitHub: signed by a key of an issuer of the deployment, for this service, for now. The
// keys of an issuer are kept as data and never as a promise: in workerd a promise of one request
// may not be waited for by another.

import {
  createRemoteJWKSet,
  decodeJwt,
  errors,
  type JWKSCacheInput,
  type JWTVerifyGetKey,
  jwksCache,
  jwtVerify,
} from 'jose';
import {
  type GithubClaims,
  type GithubIssuer,
  githubClaimsSchema,
  githubDotCom,
} from '../../contract/github.ts';
import type { Deps } from '../../deps.ts';
import { ProblemError } from '../../errors.ts';

/** Seconds by which the clocks of GitHub and of this service may differ. */
export const clockToleranceSeconds = 30;
/** GitHub's tokens live for minutes; an older one was kept by somebody. */
const oldestSeconds = 3_600;
/** An issuer whose keys could not be fetched is not asked again for so long. */
const restMs = 5_000;

/** github.com's Actions, and what the deployment adds. */
export function issuersOf(deps: Deps): GithubIssuer[] {
  const own = { issuer: githubDotCom, jwks: `${githubDotCom}/.well-known/jwks` };
  return [own, ...(deps.githubIssuers ?? [])];
}

/** What a token has to be for. Throws `unavailable` where the deployment does not say. */
export function audienceOf({ githubAudience, publicUrl }: Deps): string {
  const audience = githubAudience || publicUrl.replace(/\/+$/, '');
  if (audience !== '') return audience;
  throw new ProblemError(
    'unavailable',
    'This deployment does not know its own address: its operator sets CW_PUBLIC_URL or CW_GITHUB_AUDIENCE.',
  );
}

const refused = (detail: string, cause?: unknown) =>
  new ProblemError('unauthenticated', `This token of GitHub is not accepted: ${detail}`, { cause });

/**
 * The claims of a token. Throws `unauthenticated` saying what does not hold, `unavailable` where
 * the issuer's keys cannot be had.
 */
export async function verifyGithubToken(deps: Deps, token: string): Promise<GithubClaims> {
  const audience = audienceOf(deps);
  const issuer = issuerOf(deps, token);
  try {
    const { payload } = await jwtVerify(token, keysOf(deps, issuer), {
      algorithms: ['RS256'],
      typ: 'JWT',
      issuer: issuer.issuer,
      audience,
      requiredClaims: ['exp', 'iat', 'jti', 'sub'],
      maxTokenAge: oldestSeconds,
      clockTolerance: clockToleranceSeconds,
      currentDate: deps.now(),
    });
    return claimsOf(payload);
  } catch (cause) {
    if (cause instanceof ProblemError) throw cause;
    if (!(cause instanceof errors.JOSEError))
      throw refused('it is no JWT that can be read.', cause);
    throw refused(sentenceOf(cause, audience), cause);
  }
}

// Read before it is believed, to choose whose keys have to have signed it.
function issuerOf(deps: Deps, token: string): GithubIssuer {
  let iss: unknown;
  try {
    iss = decodeJwt(token).iss;
  } catch (cause) {
    throw refused('it is no JWT that can be read.', cause);
  }
  const known = issuersOf(deps).find(({ issuer }) => issuer === iss);
  if (known !== undefined) return known;
  throw refused(
    `its issuer ${shown(iss)} is not one of this deployment. A GitHub Enterprise Server is added in CW_GITHUB_ISSUERS.`,
  );
}

type Kept = { jwks: JWKSCacheInput; failedAt: number };

/** Of each address of keys: what was fetched last. */
const keptKeys = new Map<string, Kept>();

function keysOf(deps: Deps, { issuer, jwks }: GithubIssuer): JWTVerifyGetKey {
  const kept = keptKeys.get(jwks) ?? { jwks: {}, failedAt: Number.NEGATIVE_INFINITY };
  keptKeys.set(jwks, kept);
  const find = createRemoteJWKSet(new URL(jwks), { [jwksCache]: kept.jwks });
  return async (header, flattened) => {
    if (typeof header.kid !== 'string' || header.kid === '') {
      throw refused('its header names no key (kid).');
    }
    const now = deps.now().getTime();
    const rests = !find.fresh && now - kept.failedAt < restMs && now >= kept.failedAt;
    if (rests) throw unreachable(issuer);
    try {
      return await find(header, flattened);
    } catch (cause) {
      if (cause instanceof errors.JWKSNoMatchingKey) throw cause;
      if (cause instanceof errors.JWKSMultipleMatchingKeys) throw cause;
      kept.failedAt = now;
      deps.log('warn', `the keys of ${issuer} cannot be had from ${jwks}`, { cause });
      throw unreachable(issuer, cause);
    }
  };
}

function unreachable(issuer: string, cause?: unknown): ProblemError {
  return new ProblemError(
    'unavailable',
    `The keys of ${issuer} cannot be had at the moment, so no token of it can be checked; try again soon.`,
    { retryAfterSeconds: Math.ceil(restMs / 1000), cause },
  );
}

function claimsOf(payload: unknown): GithubClaims {
  const read = githubClaimsSchema.safeParse(payload);
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw refused(`its claim ${path.join('.')} is not as GitHub writes it (${message}).`);
}

function sentenceOf(cause: errors.JOSEError, audience: string): string {
  if (cause instanceof errors.JWTExpired) {
    const { exp } = cause.payload;
    return cause.claim === 'exp' && typeof exp === 'number'
      ? `it expired at ${new Date(exp * 1000).toISOString()}; ask GitHub for a new one.`
      : 'it was issued too long ago; ask GitHub for a new one.';
  }
  if (cause instanceof errors.JWTClaimValidationFailed) return claimSentence(cause, audience);
  if (cause instanceof errors.JOSEAlgNotAllowed) return 'it is not signed with RS256.';
  if (
    cause instanceof errors.JWSSignatureVerificationFailed ||
    cause instanceof errors.JWKSNoMatchingKey ||
    cause instanceof errors.JWKSMultipleMatchingKeys
  ) {
    return 'its signature is not by a key of its issuer.';
  }
  return 'it is no JWT that can be read.';
}

function claimSentence(
  { claim, reason, payload }: errors.JWTClaimValidationFailed,
  audience: string,
): string {
  if (reason === 'missing') return `it has no claim ${claim}.`;
  if (claim === 'aud') {
    return `its audience is ${shown(payload.aud)}, and this service asks for "${audience}".`;
  }
  if (claim === 'nbf' || claim === 'iat') {
    return `it is not valid yet (${claim} ${shown(payload[claim])}); are the clocks right?`;
  }
  return `its ${claim} is not as GitHub writes it.`;
}

const shown = (value: unknown) => (JSON.stringify(value) ?? 'nothing').slice(0, 200);
