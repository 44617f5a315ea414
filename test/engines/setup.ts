// Once for all files of this folder: podman's storage with the trainer's image in it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildTrainerImage, type TrainerImage } from './image.ts';
import { openPodman } from './podman.ts';

declare module 'vitest' {
  interface ProvidedContext {
    podmanFolder: string;
    image: TrainerImage;
  }
}

let folder: string;

export async function setup(project: TestProject): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), 'counterweight-engines-'));
  const podman = openPodman(join(folder, 'podman'));
  project.provide('podmanFolder', join(folder, 'podman'));
  const started = Date.now();
  project.provide('image', await buildTrainerImage(podman, join(folder, 'image')));
  process.stderr.write(`engines: the trainer's image in ${Date.now() - started} ms\n`);
}

export async function teardown(): Promise<void> {
  const podman = openPodman(join(folder, 'podman'));
  await podman.run('rm', '--all', '--force', '--time', '0');
  rmSync(folder, { recursive: true, force: true });
}
