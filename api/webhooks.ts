// CW_WEBHOOK_KEY and CW_WEBHOOK_ALLOW, and how webhooks are sent in workerd: with fetch, which
// there reaches public addresses alone. Node has node/webhooks.ts, which is told the address.

import { readAllowedAddresses } from './services/webhooks/addresses.ts';
import { secretBoxOf } from './services/webhooks/secrets.ts';
import type { Answer, Outgoing, Webhooks } from './services/webhooks/transport.ts';

/** How much of an answer is read: what people are shown is shorter. */
export const readBytes = 1_024;

/** Reads both variables; undefined without a key. Throws a sentence naming a wrong one. */
export async function readWebhooks(
  { key, allow }: { key: string | undefined; allow: string | undefined },
  surroundings: Pick<Webhooks, 'send' | 'resolve'>,
): Promise<Webhooks | undefined> {
  const allowed = readAllowedAddresses(allow);
  const box = await secretBoxOf(key);
  return box && { box, allowed, ...surroundings };
}

/** What is said of a receiver that did not answer in time. */
export const tooSlow = (timeoutMs: number) => `did not answer within ${timeoutMs / 1000} seconds`;

/** The beginning of a body as text; what breaks off, ends there. */
export async function beginningOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let read = 0;
  try {
    for await (const chunk of chunks) {
      text += decoder.decode(chunk.subarray(0, readBytes - read), { stream: true });
      read += chunk.length;
      if (read >= readBytes) break; // leaving the loop lets go of the connection
    }
  } catch {} // the status is what counts, and it has come
  return text;
}

/** Sends with fetch; `addresses` cannot be asked for, the runtime chooses. */
export async function sendByFetch({ url, headers, body, timeoutMs }: Outgoing): Promise<Answer> {
  const signal = AbortSignal.timeout(timeoutMs);
  let response: Response;
  try {
    response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal });
  } catch (cause) {
    const said = signal.aborted ? tooSlow(timeoutMs) : `could not be reached: ${cause}`;
    throw new Error(said, { cause });
  }
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    text: response.body === null ? '' : await beginningOf(response.body),
  };
}
