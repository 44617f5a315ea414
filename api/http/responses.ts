// Response descriptions shared by every createRoute.

import type { z } from '@hono/zod-openapi';
import { problemSchema } from '../contract/shared.ts';

const problemContent = { 'application/problem+json': { schema: problemSchema } };

const retryAfter = {
  'Retry-After': {
    description: 'Seconds; absent where waiting does not help',
    schema: { type: 'integer' as const },
  },
};

/** A JSON answer of a schema. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** A JSON request body of a schema. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** The problem answers that every route may give. */
export const problems = {
  400: { description: 'The request cannot be read', content: problemContent },
  401: { description: 'A valid token is needed', content: problemContent },
  403: { description: 'The token does not allow this', content: problemContent },
  404: { description: 'There is no such thing here', content: problemContent },
  409: { description: 'Conflict with what is stored', content: problemContent },
  413: { description: 'Larger than a limit of this service', content: problemContent },
  422: { description: 'The input is not valid', content: problemContent },
  429: {
    description: 'Too many requests; Retry-After says when there is room again',
    headers: retryAfter,
    content: problemContent,
  },
  503: { description: 'Not available at the moment, or took too long', content: problemContent },
};

/** The answer of a route that a limit may refuse; beside `problems`. */
export const limited = {
  429: {
    description:
      'Too many requests, or a limit of the launch target; Retry-After says when there may be room',
    headers: retryAfter,
    content: problemContent,
  },
};

/** The answer of a route with a limit of its own on the body; beside `problems`. */
export const tooLarge = { 413: { description: 'The body is too large', content: problemContent } };

/** The answer of a route that asks another service, which may be away; beside `problems`. */
export const retried = {
  503: {
    description: 'Another service that this one needs is away',
    headers: {
      'Retry-After': { description: 'Seconds', schema: { type: 'integer' as const } },
    },
    content: problemContent,
  },
};
