// A failure of the action: a sentence for people, the problem behind it, and the exit code, which
// means what it means on the command line.

import type { Problem } from '../../api/contract/problems.ts';

export const exitCodes = { done: 0, failed: 1, usage: 2, refused: 3, gateNotMet: 4, timedOut: 5 };

export type Failure = Error & {
  exitCode: number;
  problem?: Problem;
  /** No answer came, or one that passes: the service may be back in a moment. */
  silent?: boolean;
};

export function failure(
  message: string,
  exitCode: number,
  more: Pick<Failure, 'problem' | 'silent'> = {},
): Failure {
  return Object.assign(new Error(message), { exitCode, ...more });
}

export const isFailure = (error: unknown): error is Failure =>
  error instanceof Error && 'exitCode' in error;
