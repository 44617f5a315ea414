// What an engine's refusal means. podman answers 500 for nearly all, so its words tell what can
// never be from a full disk or a busy daemon.

import { ProblemError } from '../../errors.ts';
import { type EngineAnswer, shown } from '../engine-http.ts';

/** Words of errors that no later try changes, whatever their status. */
const final: RegExp[] = [
  /no such image|image not known|invalid reference format|did not resolve to an alias/i,
  // Bare, "no such file" may be the socket of a daemon that is just restarting.
  /\b(statfs|mounting) .*no such file or directory|bind source path does not exist/i,
  /network .*not found|unable to find network/i,
  /executable file .*not found|exec format error/i,
  /could not select device driver|unresolvable CDI devices/i,
  /unable to find user|no matching entries in passwd/i,
];

/**
 * The problem of a container that the engine does not make or start: `unprocessable` where that
 * stands, `launcher-failed` where it may go well later. `secret` is not shown.
 */
export function refusal(
  what: string,
  { json, text, status }: EngineAnswer,
  secret: string | null = null,
): ProblemError {
  const message = String(json?.message ?? text);
  const said = shown(message, secret);
  const hint = /no such image|image not known/i.test(message) ? ': pull the image first' : '';
  const isFinal = (status >= 400 && status < 500) || final.some((words) => words.test(message));
  const kind = isFinal ? 'unprocessable' : 'launcher-failed';
  return new ProblemError(kind, `${what} (${status}): ${said}${hint}`);
}
