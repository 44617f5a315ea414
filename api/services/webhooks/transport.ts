// What the service needs of its surroundings to send a webhook, and the address that it is sent to:
// a name is resolved once, what came is checked, and the connection goes to just that.

import { ProblemError } from '../../errors.ts';
import {
  type AllowedAddresses,
  faultOfAddress,
  faultOfUrl,
  isListed,
  literalOf,
} from './addresses.ts';
import type { SecretBox } from './secrets.ts';

export type Outgoing = {
  url: URL;
  /** The addresses that were checked, the only ones to connect to; undefined where not known. */
  addresses: string[] | undefined;
  headers: Record<string, string>;
  body: string;
  timeoutMs: number;
};

export type Answer = {
  status: number;
  retryAfter: string | null;
  /** How the body begins, for people. */
  text: string;
};

/** What api/node.ts and api/worker.ts fill in. */
export type Webhooks = {
  box: SecretBox;
  allowed: AllowedAddresses;
  /** POSTs, follows no redirect, reads little of the answer; throws a sentence without one. */
  send: (outgoing: Outgoing) => Promise<Answer>;
  /** The addresses of a name. Absent in workerd, whose runtime reaches public addresses alone. */
  resolve?: (name: string) => Promise<string[]>;
};

const refused = (fault: string) =>
  new ProblemError('unprocessable', `The URL of the webhook ${fault}.`, {
    errors: [{ pointer: '/url', detail: fault }],
  });

/**
 * The addresses to send to. Throws `unprocessable` for a URL that is no place for webhooks, or is
 * none at this moment: a name may come to mean another address.
 */
export async function checkedAddresses(
  { allowed, resolve }: Pick<Webhooks, 'allowed' | 'resolve'>,
  url: URL,
): Promise<string[] | undefined> {
  const fault = faultOfUrl(url, allowed);
  if (fault !== null) throw refused(fault);
  const literal = literalOf(url);
  if (literal !== undefined) return [literal];
  if (resolve === undefined) return undefined;
  const found = await resolve(url.hostname).catch((cause: Error) => {
    throw refused(`names the host ${url.hostname}, which was not found: ${cause.message}`);
  });
  if (found.length === 0) throw refused(`names the host ${url.hostname}, which has no address`);
  // Which address it was is not said: it would tell what names mean inside a network.
  const bad = found.find((address) => faultOfAddress(address, allowed) !== null);
  if (bad === undefined || isListed(url, allowed)) return found;
  throw refused(`names the host ${url.hostname}, whose address ${faultOfAddress(bad, allowed)}`);
}

/** The URL of a text; throws `unprocessable` where it is none. */
export function urlOf(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw refused('cannot be read; give one as https://example.org/hooks');
}
