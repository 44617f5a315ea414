// What the commands share that install something big for themselves, once per machine and version,
// outside the checkout: steps that show what they do, and leaving out aloud.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Exit code of a run that was left out, for .ci/run to tell it from a passed one. */
const skippedCode = 77;

export type Installer = {
  say: (line: string) => void;
  /** Runs a step and shows what it says; false where it fails. */
  step: (what: string, command: string, args: string[]) => boolean;
  /** Ends the process: says why nothing was tried and what it would take. */
  skip: (why: string) => never;
};

/** `needs`: what to say of a run that is left out, line by line. */
export function installer(name: string, needs: string[]): Installer {
  const say = (line: string) => process.stderr.write(`${name}: ${line}\n`);
  return {
    say,
    step: (what, command, args) => {
      say(what);
      return spawnSync(command, args, { stdio: ['ignore', 2, 2] }).status === 0;
    },
    skip: (why) => {
      for (const line of ['', `SKIPPED: ${why}.`, ...needs]) say(line);
      process.exit(skippedCode);
    },
  };
}

/** The first Python of a list that passes a check; null where none does. */
export function findPython(usual: string[], check: string): string | null {
  const wanted = process.env.CW_PYTHON;
  const names = wanted ? [wanted] : usual;
  return names.find((name) => spawnSync(name, ['-c', check]).status === 0) ?? null;
}

/**
 * A folder for what was asked for, complete or not there at all: `fill` answers whether it worked,
 * and the stamp is written last. Null where it did not.
 */
export function cachedFolder(
  { say }: Installer,
  { name, asked, fill }: { name: string; asked: string; fill: (folder: string) => boolean },
): string | null {
  const digest = createHash('sha256').update(asked).digest('hex').slice(0, 16);
  const caches = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const folder = join(caches, 'counterweight', `${name}-${digest}`);
  const stamp = join(folder, 'complete');
  if (existsSync(stamp)) {
    say(`installed by an earlier run: ${folder}`);
    return folder;
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  if (!fill(folder)) return null;
  writeFileSync(stamp, asked);
  return folder;
}
