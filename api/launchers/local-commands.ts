// What a local target runs for which trainer, and with which environment: its own fields in
// CW_TARGETS.

import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { TrainerKind } from '../contract/settings.ts';
import { type Finding, type LaunchTarget, localFieldsSchema } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';

const root = resolve(import.meta.dirname, '../..');

/** What `pip install` of trainer/nnunet leaves on the path. */
const usual: Record<TrainerKind, string[]> = {
  counterweight: [process.execPath, '--import', 'tsx', join(root, 'trainer/main.ts')],
  nnunet: ['counterweight-nnunet', 'run'],
};

export type LocalCommands = {
  commandOf: (trainer: TrainerKind) => string[];
  environment: Record<string, string>;
};

/** Throws ProblemError `launcher-failed` where CW_TARGETS says what no local target can do. */
export function localCommands(target: LaunchTarget): LocalCommands {
  const read = localFieldsSchema.safeParse(target);
  if (!read.success) {
    const [{ path, message }] = read.error.issues;
    const field = path.join('.');
    const detail = `Target "${target.name}" in CW_TARGETS, field ${field}: ${message}.`;
    throw new ProblemError('launcher-failed', detail);
  }
  const { command: every, commands = {}, environment = {} } = read.data;
  return {
    commandOf: (trainer) => commands[trainer] ?? every ?? usual[trainer],
    environment,
  };
}

/** Whether nnU-Net's adapter could be started; many labs never need it, so it is no error. */
export function adapterFindings(target: LaunchTarget): Finding[] {
  try {
    const [program] = localCommands(target).commandOf('nnunet');
    if (isProgram(program)) return [];
    const detail = `jobs of trainer "nnunet": no program "${program}"; pip install trainer/nnunet, and name the installed command in "commands" of the target`;
    return [{ severity: 'warning', detail }];
  } catch (error) {
    return [{ severity: 'error', detail: (error as Error).message }];
  }
}

function isProgram(name: string): boolean {
  const folders = name.includes('/') ? [''] : (process.env.PATH ?? '').split(delimiter);
  return folders.some((folder) => {
    try {
      accessSync(folder === '' ? resolve(name) : join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
