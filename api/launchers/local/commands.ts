// What a local target runs for which trainer, and with which environment: its own fields in
// CW_TARGETS.

import { accessSync, constants } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { z } from 'zod';
import type { TrainerKind } from '../../contract/settings.ts';
import type { Finding, LaunchTarget } from '../../contract/targets.ts';
import { ownFields } from '../target-fields.ts';

const root = resolve(import.meta.dirname, '../../..');

/** What `pip install` of trainer/nnunet leaves on the path. */
const usual: Record<TrainerKind, string[]> = {
  counterweight: [process.execPath, '--import', 'tsx', join(root, 'trainer/main.ts')],
  nnunet: ['counterweight-nnunet', 'run'],
};

const command = z.array(z.string().min(1)).min(1);
const fieldsSchema = z.strictObject({
  /** For every trainer that `commands` does not name. */
  command: command.optional(),
  commands: z.strictObject({ counterweight: command, nnunet: command }).partial().optional(),
});

export type CommandOf = (trainer: TrainerKind) => string[];

/** Throws ProblemError `launcher-failed` where CW_TARGETS says what no local target can do. */
export function localCommands(target: LaunchTarget): CommandOf {
  const { command: every, commands = {} } = ownFields(target, fieldsSchema);
  return (trainer) => commands[trainer] ?? every ?? usual[trainer];
}

/** Whether nnU-Net's adapter could be started; many labs never need it, so it is no error. */
export function adapterFindings(commandOf: CommandOf): Finding[] {
  const [program] = commandOf('nnunet');
  if (isProgram(program)) return [];
  const detail = `jobs of trainer "nnunet": no program "${program}"; pip install trainer/nnunet, and name the installed command in "commands" of the target`;
  return [{ severity: 'warning', detail }];
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
