// The keys that requests to AWS are signed with, as the secret of a target says them. Nothing of
// the secret may stand in an error.

import { z } from 'zod';
import { ProblemError } from '../../errors.ts';

export type AwsKeys = {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
  expiresAt?: Date;
};

/** What `aws configure export-credentials --format process` prints. */
const exportedSchema = z.object({
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  SessionToken: z.string().min(1).optional(),
  Expiration: z.iso.datetime({ offset: true }).optional(),
});

/** ACCESS:SECRET, and :SESSION for keys that expire. */
const short = /^([A-Za-z0-9]{4,128}):([^\s:]+)(?::([^\s:]+))?$/;

/** Throws ProblemError `launcher-failed` where the text holds no keys, or expired ones. */
export function readKeys(targetName: string, text: string, now: Date): AwsKeys {
  const keys = parsedKeys(text);
  if (keys === null) {
    throw new ProblemError(
      'launcher-failed',
      `Target "${targetName}": its credentials are neither the JSON of "aws configure export-credentials --format process" nor ACCESS:SECRET or ACCESS:SECRET:SESSION.`,
    );
  }
  const { expiresAt } = keys;
  if (expiresAt !== undefined && expiresAt <= now) {
    throw new ProblemError(
      'launcher-failed',
      `Target "${targetName}": its AWS credentials expired at ${expiresAt.toISOString()}; write fresh ones to where "credentials" points, they are read anew for each use.`,
    );
  }
  return keys;
}

function parsedKeys(text: string): AwsKeys | null {
  const plain = text.match(short);
  if (plain !== null) {
    const [, accessKeyId, secretAccessKey, sessionToken] = plain;
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  }
  const read = exportedSchema.safeParse(jsonOf(text));
  if (!read.success) return null;
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = read.data;
  return {
    accessKeyId: AccessKeyId,
    secretAccessKey: SecretAccessKey,
    ...(SessionToken === undefined ? {} : { sessionToken: SessionToken }),
    ...(Expiration === undefined ? {} : { expiresAt: new Date(Expiration) }),
  };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
