// How webhooks are sent on Node: to the addresses that were checked and to no other, because the
// connection asks nobody for them again. A connection each, no proxy, no redirect followed.

import { lookup } from 'node:dns/promises';
import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIPv6, type LookupFunction } from 'node:net';
import type { Answer, Outgoing } from '../services/webhooks/transport.ts';
import { beginningOf, tooSlow } from '../webhooks.ts';

const resolveMs = 5_000;

/** Every address of a name, as the system says (its hosts file included). */
export async function resolveName(name: string): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the name server did not answer')), resolveMs);
  });
  try {
    const found = await Promise.race([lookup(name, { all: true }), late]);
    return found.map(({ address }) => address);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(resolveWords[code ?? ''] ?? message, { cause });
  } finally {
    clearTimeout(timer);
  }
}

const resolveWords: Record<string, string> = {
  ENOTFOUND: 'there is no such name',
  EAI_AGAIN: 'the name server did not answer',
};

const connectWords: Record<string, string> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'closed the connection',
  EPIPE: 'closed the connection',
  EHOSTUNREACH: 'cannot be reached from here',
  ENETUNREACH: 'cannot be reached from here',
  ETIMEDOUT: 'did not take the connection',
};

/** Answers what was checked, whatever is asked for. */
function answering(addresses: string[]): LookupFunction {
  const known = addresses.map((address) => ({ address, family: isIPv6(address) ? 6 : 4 }));
  return (_name, { all }, done) => {
    if (all) done(null, known);
    else done(null, known[0].address, known[0].family);
  };
}

/** Sends to the addresses given; throws a sentence where no answer came. */
export async function sendToAddresses(outgoing: Outgoing): Promise<Answer> {
  const { url, addresses, headers, body, timeoutMs } = outgoing;
  if (addresses === undefined) throw new Error('no address was checked');
  const signal = AbortSignal.timeout(timeoutMs);
  const send = url.protocol === 'https:' ? requestHttps : requestHttp;
  const options = { method: 'POST', headers, agent: false, lookup: answering(addresses), signal };
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = send(url, options, resolve);
    asked.on('error', (cause: NodeJS.ErrnoException) => {
      const said = connectWords[cause.code ?? ''] ?? `could not be reached: ${cause.message}`;
      reject(new Error(signal.aborted ? tooSlow(timeoutMs) : said, { cause }));
    });
    asked.end(body);
  });
  return {
    status: answer.statusCode ?? 0,
    retryAfter: answer.headers['retry-after'] ?? null,
    text: await beginningOf(answer),
  };
}
