// The secret that a target's `credentials` name: how a deployment reads it, and in plain words what
// is wrong with it. Nothing of the secret stands in an error.

import type { Engine, LaunchTarget } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';

/** What an engine's credentials are; JSON may span lines, what is sent in a header may not. */
const secrets: Partial<Record<Engine, { what: string; spansLines?: true }>> = {
  'aws-batch': {
    what: 'what "aws configure export-credentials --format process" prints, or ACCESS:SECRET',
    spansLines: true,
  },
  kubernetes: { what: 'the token of a service account (infra/kubernetes)' },
  slurm: { what: 'the token of its user (scontrol token)' },
};

/** How a deployment reads the secret that a target's `credentials` name. */
export type ReadCredential = (credentials: { env: string } | { file: string }) => Promise<string>;

/** The secret, read anew; throws ProblemError `launcher-failed` where it cannot be used. */
export async function secretOf(
  target: LaunchTarget,
  readCredential: ReadCredential,
): Promise<string> {
  const where = target.credentials as NonNullable<LaunchTarget['credentials']>;
  const { what, spansLines } = secrets[target.engine] ?? { what: 'the secret' };
  const problem = (said: string, cause?: unknown) => {
    const called = 'env' in where ? `variable ${where.env}` : `file ${where.file}`;
    const detail = `Target "${target.name}": ${called}, which its credentials name, ${said}.`;
    return new ProblemError('launcher-failed', detail, { cause });
  };
  let secret: string;
  try {
    secret = (await readCredential(where)).trim();
  } catch (cause) {
    if ('env' in where) throw problem(`is not set; set it to ${what}`, cause);
    throw problem(unreadable(cause, what), cause);
  }
  if (secret === '') throw problem(`is empty; it has to hold ${what}`);
  // No header can hold one, and fetch would say so with the whole of it.
  if (spansLines !== true && /\p{Cc}/u.test(secret)) {
    throw problem(`holds a line break or another control character; it has to hold only ${what}`);
  }
  return secret;
}

function unreadable(cause: unknown, what: string): string {
  const { code } = cause as { code?: unknown };
  if (code === 'ENOENT') return `does not exist (ENOENT); write to it ${what}`;
  if (code === 'EACCES' || code === 'EPERM') {
    return `may not be read by the user that runs this (${code}); let that user read it`;
  }
  return `cannot be read (${typeof code === 'string' ? code : 'for an unknown reason'}); it has to be a file with ${what}`;
}
