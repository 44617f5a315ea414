// What a driver's error says of the database: that it does not answer, or that it took too long.
// Neither is a fault of the request, and both may be gone in a moment.

import { ProblemError } from '../errors.ts';

/** Classes and codes of SQLSTATE, and of sockets, of a database that cannot be reached now. */
const away =
  /^(08...|57P0[1-5]|53...|ECONNREFUSED|ECONNRESET|ETIMEDOUT|EPIPE|EHOSTUNREACH|ENOTFOUND)$/;
const awaySaid = /Connection terminated|timeout exceeded when trying to connect/;
const canceled = '57014';

/** The problem that such an error is, or undefined; drizzle keeps the driver's in its cause. */
export function databaseFault(error: unknown): ProblemError | undefined {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 5; depth++) {
    const code = String((cause as { code?: unknown }).code ?? '');
    if (code === canceled) {
      const detail = 'The database took too long over this request and nothing was stored.';
      return new ProblemError(
        'unavailable',
        `${detail} Ask for less at once, or try again later.`,
        {
          cause: error,
          retryAfterSeconds: 10,
        },
      );
    }
    if (away.test(code) || awaySaid.test(cause.message)) {
      const detail = 'The database does not answer at the moment; try again.';
      return new ProblemError('unavailable', detail, { cause: error, retryAfterSeconds: 2 });
    }
    cause = cause.cause;
  }
  return undefined;
}
