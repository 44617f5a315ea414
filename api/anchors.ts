// CW_AUDIT_ANCHOR: where the heads of audit chains are written down, so that an end that is cut off
// later is noticed. A file on Node, an https address anywhere.

import type { Anchor } from './services/audit/head.ts';

/** How long an address may take to answer. */
const timeoutMs = 10_000;

/**
 * Reads the variable. `appendLine` writes a line durably and is absent where there are no files.
 * Throws a sentence naming the variable for what cannot be an anchor.
 */
export function readAnchor(
  text: string | undefined,
  {
    appendLine,
    send = fetch,
  }: { appendLine?: (path: string, line: string) => Promise<void>; send?: typeof fetch } = {},
): Anchor | undefined {
  if (text === undefined || text.trim() === '') return undefined;
  if (/^https:\/\//.test(text)) return addressAnchor(new URL(text), send);
  if (/^[a-z]+:\/\//.test(text)) {
    throw new Error('CW_AUDIT_ANCHOR must be a file or an address that starts with https://');
  }
  if (appendLine === undefined) {
    throw new Error(
      `CW_AUDIT_ANCHOR: there are no files here, so not "${text}"; give an https URL`,
    );
  }
  return {
    target: text,
    write: (head) => appendLine(text, `${JSON.stringify(head)}\n`),
  };
}

// The path and the query may hold a secret: only the host is shown.
function addressAnchor(url: URL, send: typeof fetch): Anchor {
  return {
    target: url.origin,
    write: async (head) => {
      const response = await send(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(head),
        redirect: 'manual', // workerd knows no other way to not follow
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${url.origin} answered ${response.status}`);
    },
  };
}
