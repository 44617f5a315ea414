// A router whose validation faults become problem details: without the hook, zod-openapi would
// answer raw ZodErrors.

import { OpenAPIHono } from '@hono/zod-openapi';
import { ProblemError } from '../errors.ts';
import type { Env } from './context.ts';
import { faultsOf } from './problem.ts';

/** `More` where a route's own middleware leaves more on the context than all of them do. */
export function router<More extends Env = Env>(): OpenAPIHono<More> {
  return new OpenAPIHono<More>({
    strict: false,
    defaultHook: (result) => {
      if (result.success) return;
      const errors = faultsOf(result.error.issues);
      const first = errors[0];
      const where = first.pointer === '' ? '' : ` at ${first.pointer}`;
      const detail = `${result.target === 'json' ? 'The body' : `The ${result.target}`} is not valid${where}: ${first.detail}`;
      throw new ProblemError(
        result.target === 'json' ? 'unprocessable' : 'invalid-request',
        detail,
        { errors },
      );
    },
  });
}
