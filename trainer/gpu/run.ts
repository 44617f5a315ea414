// Starts the programs of the native build. What they print is kept: only a failure shows it.

import { spawn } from 'node:child_process';

/** A program that could not be started (`missing`) or that ended with an error. */
export type CommandError = Error & { missing: boolean; output: string };

/** Runs a program to its end; rejects with a `CommandError` where it is missing or fails. */
export type Run = (command: string, args: string[], options: { cwd: string }) => Promise<void>;

const keptOutput = 64_000;

export function commandError(
  command: string,
  { missing, output }: { missing: boolean; output: string },
): CommandError {
  const error = new Error(missing ? `${command} is not installed` : `${command} failed`);
  return Object.assign(error, { missing, output });
}

export const run: Run = (command, args, { cwd }) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-keptOutput);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(commandError(command, { missing: error.code === 'ENOENT', output })),
    );
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(commandError(command, { missing: false, output }));
    });
  });
