// Runs the commands of a laid image as the image would: as its user, with its environment and
// nothing of ours, on a tree that this user cannot write to.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { LaidImage } from './image.ts';

export type ImageProcess = {
  child: ChildProcess;
  /** Lines of both outputs. */
  said: string[];
  /** The address that it listens on; rejects with what it said where it ends before. */
  listening: Promise<string>;
  /** The exit code, or the signal that killed it. */
  ended: Promise<number | string | null>;
};

/** Nobody special, where this process may become somebody else. */
const asUser = ({ user }: LaidImage) => (process.getuid?.() === 0 ? user : {});

function environment(image: LaidImage, more: Record<string, string>): Record<string, string> {
  const { CW_DATA_DIR, ...env } = image.env;
  const path = process.env.PATH ?? '';
  return { PATH: path, ...env, CW_DATA_DIR: join(image.root, CW_DATA_DIR), ...more };
}

/** Takes the right to write from everything but the data folder, which becomes the user's. */
export function protect(image: LaidImage): void {
  const data = join(image.root, image.env.CW_DATA_DIR);
  if (process.getuid?.() === 0) chownSync(data, image.user.uid, image.user.gid);
  const visit = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory() && path !== data) visit(path);
      else if (entry.isFile()) chmodSync(path, statSync(path).mode & 0o555);
    }
    chmodSync(folder, 0o555);
  };
  visit(image.root);
}

export function startInImage(
  image: LaidImage,
  [command, ...args]: string[],
  env: Record<string, string>,
): ImageProcess {
  const child = spawn(command, args, {
    ...asUser(image),
    cwd: join(image.root, image.workdir),
    env: environment(image, env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const said: string[] = [];
  const ended = new Promise<number | string | null>((resolve) => {
    child.once('close', (code, signal) => resolve(code ?? signal));
  });
  const listening = new Promise<string>((resolve, reject) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        said.push(line);
        const address = /^listening on (\S+)/.exec(line)?.[1];
        if (address !== undefined) resolve(address);
      });
    }
    void ended.then((code) => reject(new Error(`ended with ${code}: ${said.join('\n')}`)));
  });
  listening.catch(() => {});
  return { child, said, listening, ended };
}

/** Runs a command of the image to its end. */
export function runInImage(
  image: LaidImage,
  [command, ...args]: string[],
  env: Record<string, string> = {},
): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(command, args, {
    ...asUser(image),
    cwd: join(image.root, image.workdir),
    env: environment(image, env),
    encoding: 'utf8',
  });
  return { status, output: `${stdout}${stderr}` };
}
