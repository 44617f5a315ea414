// Which GPUs a target has, before its engine is asked.

import { ProblemError } from '../errors.ts';
import type { LaunchSpec } from './launcher.ts';

/** Throws `unprocessable` where a job asks for a GPU that its target does not list. */
export function requireGpus({ resources, target }: LaunchSpec): void {
  const { count, type } = resources.gpus;
  const refuse = (pointer: string, sentence: string, detail: string) => {
    throw new ProblemError('unprocessable', `Target "${target.name}" ${sentence}`, {
      errors: [{ pointer, detail }],
    });
  };
  if (count > 0 && target.gpuTypes.length === 0) {
    const detail = 'the target lists no gpuTypes';
    refuse('/resources/gpus/count', 'has no GPU; ask for gpus.count 0.', detail);
  }
  if (type !== undefined && !target.gpuTypes.includes(type)) {
    const has = target.gpuTypes.join(', ') || 'none';
    const detail = 'not in gpuTypes of the target';
    refuse('/resources/gpus/type', `has no GPU of type "${type}"; it has: ${has}.`, detail);
  }
}
