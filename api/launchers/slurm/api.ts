// How slurmrestd is asked and its answers read. Its HTTP status says little: what counts is the
// number of the error, which each call keeps under another name.

import type { LaunchTarget } from '../../contract/targets.ts';
import { ProblemError } from '../../errors.ts';
import { engineClient, fetchCarrier, shown } from '../engine-http.ts';
import type { LauncherOptions } from '../launcher.ts';
import type { SlurmFields } from './fields.ts';
import { requireUnexpired, tokenClaims } from './token.ts';

export type SlurmFault = { number: number | null; text: string };

export type SlurmAnswer = {
  // biome-ignore lint/suspicious/noExplicitAny: what slurmrestd answers is read field by field
  body: any;
  faults: SlurmFault[];
  warnings: string[];
};

export type SlurmApi = (
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
) => Promise<SlurmAnswer>;

/**
 * Asks the slurmrestd of a target. Throws ProblemError `launcher-failed` where the token is expired
 * or refused and where something else than slurmrestd answers, `unavailable` where nothing does.
 */
export function slurmApi(
  target: LaunchTarget,
  { address, user, apiVersion }: SlurmFields,
  { credential, now }: Pick<LauncherOptions, 'credential'> & { now: () => Date },
): SlurmApi {
  const send = engineClient(
    target.name,
    fetchCarrier(address, async () => ({})),
  );
  const failed = (what: string) =>
    new ProblemError('launcher-failed', `Target "${target.name}": ${what}`);
  return async (method, path, body) => {
    const token = (await credential()) ?? '';
    requireUnexpired(target.name, token, now());
    const headers = {
      'x-slurm-user-name': user,
      'x-slurm-user-token': token,
      'content-type': 'application/json',
    };
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await send({ method, path, headers, body: text });
    if (answer.status === 401) {
      throw failed(`slurmrestd does not take the token for user ${user}${whose(token, user)}.`);
    }
    if (answer.json === undefined || answer.json === null) {
      const hint = answer.status === 404 ? `; does it serve ${apiVersion}` : '';
      throw failed(
        `slurmrestd answered ${answer.status} and no JSON${hint}: ${shown(answer.text, token)}`,
      );
    }
    return read(answer.json);
  };
}

function whose(token: string, user: string): string {
  const owner = tokenClaims(token)?.user ?? null;
  return owner === null || owner === user ? '' : `: it is a token of ${owner}`;
}

// biome-ignore lint/suspicious/noExplicitAny: as above
function read(body: any): SlurmAnswer {
  const errors: Record<string, unknown>[] = Array.isArray(body.errors) ? body.errors : [];
  const faults = errors.map((one) => {
    const number = [one.error_number, one.error_code, one.errno].find(Number.isInteger);
    const text = [one.description, one.error].filter((part) => typeof part === 'string');
    return { number: (number as number) ?? null, text: [...new Set(text)].join(': ') };
  });
  const warnings: { description?: unknown }[] = Array.isArray(body.warnings) ? body.warnings : [];
  return { body, faults, warnings: warnings.map(({ description }) => String(description ?? '')) };
}

/** The faults of an answer in one line, without a secret. */
export function faultText(faults: SlurmFault[], secret: string | null = null): string {
  const parts = faults.map(({ number, text }) => (number === null ? text : `${number}: ${text}`));
  return shown(parts.join('; '), secret);
}

/** What slurmctld says when it hangs up: mostly that it refuses the token. */
const hungUp = [1007, 5005, 6000, 6006, 6007];

/** Throws ProblemError `launcher-failed` for an answer that is none because slurmctld gave none. */
export function requireNoFault(targetName: string, { faults }: SlurmAnswer): void {
  if (faults.length > 0) throw unanswered(targetName, faults);
}

/** Slurm could not be asked. */
export function unanswered(targetName: string, faults: SlurmFault[]): ProblemError {
  const refused = faults.some(({ number }) => number !== null && hungUp.includes(number));
  const why = refused
    ? 'slurmctld hung up: it refuses the token (of another user, revoked, expired), or is just restarting'
    : 'slurmctld does not answer slurmrestd, or refuses the token';
  const said = faultText(faults);
  return new ProblemError('launcher-failed', `Target "${targetName}": ${why} (${said}).`);
}
