// Texts that no Postgres column holds: the zero character, and halves of surrogate pairs, which
// JSON can spell and UTF-8 cannot. Refused on the way in: they are the caller's fault, not a 500.

import { createMiddleware } from 'hono/factory';
import { isStorableText } from '../contract/shared.ts';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';
import { isStreamedBody, refuseDeep } from './limits.ts';
import { isJsonDocument } from './negotiation.ts';

const spelled = /\\u(0000|d[89a-f])/i;

/** Refuses a zero character in path or query. */
export const storableUrl = createMiddleware<Env>(async (c, next) => {
  if (c.req.url.includes('%00')) {
    throw new ProblemError('invalid-request', 'The address holds a zero character (%00).');
  }
  await next();
});

/**
 * Refuses a JSON body with such a text in a value or a name, by pointer, and one that is too deep.
 * What a route reads as a stream, it checks itself: it knows every text that it takes.
 */
export const storableBody = createMiddleware<Env>(async (c, next) => {
  const checked = c.req.method !== 'GET' && !isStreamedBody(c);
  if (checked && isJsonDocument(c.req.header('content-type'))) {
    // As bytes: read as text, a zipped file would be spoilt for a route that can unzip it.
    const text = new TextDecoder().decode(await c.req.arrayBuffer());
    refuseDeep(text);
    const pointer = spelled.test(text) ? pointerToUnstorable(parsed(text)) : null;
    if (pointer !== null) {
      const detail = 'a zero character or half of a surrogate pair, which cannot be stored';
      throw new ProblemError('unprocessable', `The body holds ${detail} at ${pointer}.`, {
        errors: [{ pointer, detail }],
      });
    }
  }
  await next();
});

// What is not JSON is told by the route, in the words that it has for it.
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** The JSON pointer of the first text that cannot be stored, or null. */
export function pointerToUnstorable(document: unknown): string | null {
  const open: [string, unknown][] = [['', document]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [pointer, value] = next;
    if (typeof value === 'string' && !isStorableText(value)) return pointer;
    if (typeof value !== 'object' || value === null) continue;
    for (const [name, item] of Object.entries(value)) {
      if (!isStorableText(name)) return pointer === '' ? '/' : pointer;
      open.push([`${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`, item]);
    }
  }
  return null;
}
