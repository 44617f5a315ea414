// Which of the formats that a route offers the request asks for.

import type { Context } from 'hono';
import { accepts } from 'hono/accepts';
import { ProblemError } from '../errors.ts';

/** The accepted format among `offered`; the first one when the request does not say. */
export function acceptedFormat<Format extends string>(c: Context, offered: Format[]): Format {
  const header = c.req.header('accept');
  if (header === undefined || header.includes('*/*')) {
    const named = offered.find((format) => header?.includes(format));
    return named ?? offered[0];
  }
  const chosen = accepts(c, { header: 'Accept', supports: offered, default: '' });
  if (chosen === '') {
    throw new ProblemError('not-acceptable', `Ask for one of: ${offered.join(', ')}.`);
  }
  return chosen as Format;
}
