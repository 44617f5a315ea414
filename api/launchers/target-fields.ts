// What a target in CW_TARGETS says for its engine alone.

import type { z } from 'zod';
import { commonTargetFields, type LaunchTarget } from '../contract/targets.ts';
import { ProblemError } from '../errors.ts';

/**
 * The engine's own fields of a target. Throws ProblemError `launcher-failed` that names the field:
 * a misspelt one would otherwise launch something else without a word.
 */
export function ownFields<Schema extends z.ZodType>(
  target: LaunchTarget,
  schema: Schema,
): z.output<Schema> {
  const own = Object.entries(target).filter(([name]) => !commonTargetFields.includes(name));
  const read = schema.safeParse(Object.fromEntries(own));
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw targetProblem(target, path.join('.'), message);
}

/** A problem with what CW_TARGETS says of a target. */
export function targetProblem({ name }: LaunchTarget, field: string, what: string): ProblemError {
  const where = field === '' ? '' : `, field ${field}`;
  return new ProblemError('launcher-failed', `Target "${name}" in CW_TARGETS${where}: ${what}.`);
}

/** The text of a field that this engine cannot do without. */
export function requireField(
  target: LaunchTarget,
  field: 'address' | 'outputPath',
  example: string,
): string {
  const value = target[field];
  if (value !== undefined && value !== '') return value;
  throw targetProblem(target, field, `is missing; for example ${example}`);
}
