// The environment of the Node entries. What is wrong with it is a ProblemError: whoever starts them
// can mend it, and needs a sentence, not a stack.

import { readFileSync } from 'node:fs';
import { readEnvironment, type Settings } from '../env.ts';
import { ProblemError } from '../errors.ts';

export function settingsOf(env: Record<string, string | undefined>): Settings {
  try {
    return readEnvironment(env, (path) => readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new ProblemError('unprocessable', (cause as Error).message, { cause });
  }
}
