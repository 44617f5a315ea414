// The folder of a launch, `CW_DATA_DIR/launches/<launch key>`: what its runner wrote there,
// launches that never came to stand, and folders that have served.

import {
  closeSync,
  existsSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { outputCharacters } from '../../contract/agents.ts';

export type Process = { pid: number; started: string | null };
export type Ended = { code: number | null; signal: string | null; error?: string };
export type Launch = {
  folder: string;
  /** The process that waits for the trainer; null until it has started. */
  runner: Process | null;
  trainer: Process | null;
  ended: Ended | null;
};

/** How long a claimed launch may take until its runner stands; after it, it never will. */
const startWithinMs = 60_000;
/** The same where its handle was never saved: less than the lease of a submit, over by then. */
const claimWithinMs = 30_000;
/** How long the folder of an attempt that was cleared up is kept, for its output. */
const keptForMs = 7 * 86_400_000;
const sweepEveryMs = 3_600_000;
/** Put beside the name of a folder whose launch never stood. */
const neverStood = '.never-stood-';

export function readJson<Value>(path: string): Value | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Value;
  } catch {
    return null;
  }
}

export function writeWhole(path: string, value: unknown): void {
  writeFileSync(`${path}.partial`, JSON.stringify(value));
  renameSync(`${path}.partial`, path);
}

export function readLaunch(folder: string): Launch | null {
  if (!existsSync(folder)) return null;
  return {
    folder,
    runner: readJson(join(folder, 'runner.json')),
    trainer: readJson(join(folder, 'trainer.json')),
    ended: readEnd(folder),
  };
}

export function readEnd(folder: string): Ended | null {
  return readJson(join(folder, 'ended.json'));
}

const isOlder = (path: string, ms: number) => Date.now() - statSync(path).mtimeMs > ms;

/** Whether a launch without a runner never ran and never will. */
export function isGivenUp(folder: string): boolean {
  return wasAbandoned(folder) || (isOlder(folder, startWithinMs) && abandon(folder));
}

function wasAbandoned(folder: string): boolean {
  const path = join(folder, 'runner.json');
  return existsSync(path) && readFileSync(path, 'utf8') === 'null';
}

/**
 * The runner makes runner.json as its first act and stops where the file is there already: so a
 * launch that was given up is never run late. False where the runner was first.
 */
export function abandon(folder: string): boolean {
  try {
    writeFileSync(join(folder, 'runner.json'), 'null', { flag: 'wx' });
    return true;
  } catch {
    return wasAbandoned(folder);
  }
}

/**
 * Whether a key was launched. A claim without a runner, as a service leaves it that was killed
 * between the two, is given up and put aside, so that the key can be launched after all. A runner
 * that comes late after all works in the folder that was put aside, and stops there.
 */
export function isLaunched(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const stands = existsSync(join(folder, 'runner.json')) && !wasAbandoned(folder);
  if (stands || !(wasAbandoned(folder) || isOlder(folder, claimWithinMs))) return true;
  if (!abandon(folder)) return true;
  renameSync(folder, `${folder}${neverStood}${Date.now()}`);
  return false;
}

/** The last lines of a launch's output. */
export function outputTail(folder: string): string | undefined {
  let file: number;
  try {
    file = openSync(join(folder, 'output.log'), 'r');
  } catch {
    return undefined;
  }
  try {
    const { size } = fstatSync(file);
    const from = Math.max(0, size - outputCharacters);
    const bytes = Buffer.alloc(size - from);
    const text = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, from)).toString('utf8');
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    closeSync(file);
  }
}

/** Notes that an attempt is over for the service; its folder may go once that is long ago. */
export function markServed(folder: string): void {
  if (existsSync(folder)) writeFileSync(join(folder, 'served'), '');
}

/** A function that removes folders that have served long enough, looking once an hour. */
export function folderSweep(stateDir: string): () => void {
  let sweptAt = 0;
  return () => {
    if (Date.now() - sweptAt < sweepEveryMs || !existsSync(stateDir)) return;
    sweptAt = Date.now();
    for (const name of readdirSync(stateDir)) {
      if (!name.startsWith('cw-')) continue;
      const folder = join(stateDir, name);
      const mark = name.includes(neverStood) ? folder : join(folder, 'served');
      if (!existsSync(mark) || !isOlder(mark, keptForMs)) continue;
      rmSync(folder, { recursive: true, force: true });
    }
  };
}
