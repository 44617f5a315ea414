// Which of the formats that a route offers the request asks for, and which one its body has.

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

/** True for one JSON document; false for lines of JSON, which are read as a stream. */
export function isJsonDocument(contentType: string | undefined): boolean {
  const [mediaType] = (contentType ?? '').split(';');
  return /^application\/(json|[\w.-]+\+json)$/i.test(mediaType.trim());
}
