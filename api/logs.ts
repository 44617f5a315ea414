// The log: one line of JSON an event, from a level on. What caused an error is told without the
// values that a query had: they are tokens' digests and what people sent.

import type { Log } from './deps.ts';
import { type LogLevel, logLevels } from './env.ts';

/** `from` is the least level that is written. */
export function jsonLog({
  from,
  write,
  now,
}: {
  from: LogLevel;
  write: (line: string) => void;
  now: () => Date;
}): Log {
  const least = logLevels.indexOf(from);
  return (level, message, fields = {}) => {
    if (logLevels.indexOf(level) < least) return;
    const { cause, ...rest } = fields;
    const shown = cause instanceof Error ? { cause: causeText(cause) } : {};
    write(JSON.stringify({ at: now().toISOString(), level, message, ...rest, ...shown }));
  };
}

/** An error and what is behind it, with the places in the code. */
export function causeText(error: Error): string {
  const told = `${error.name}: ${headline(error)}${frames(error)}`;
  return error.cause instanceof Error ? `${told}\ncaused by ${causeText(error.cause)}` : told;
}

// Errors of drizzle carry the bound values in their message, beside `query`.
function headline({ message, query }: Error & { query?: unknown }): string {
  return message.startsWith('Failed query: ') ? `Failed query: ${query}` : message;
}

// A stack repeats the message first; what comes after it is ours.
function frames({ stack = '', message }: Error): string {
  const at = stack.indexOf(message);
  return at < 0 ? '' : stack.slice(at + message.length);
}
