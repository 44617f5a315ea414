// What an engine said, in a form that the service takes: bounded, and without characters that no
// database holds.

import { outputCharacters } from '../../api/contract/agents.ts';
import type { Observation } from '../../api/launchers/launcher.ts';

const detailCharacters = 2_000;

/** A text without zero characters and halves of surrogate pairs, cut to the contract's length. */
export function storable(text: string): string {
  const kept = text.replaceAll(/\0|\p{Surrogate}/gu, '\ufffd').slice(0, detailCharacters);
  return kept.replace(/\p{Surrogate}$/u, '') || 'nothing was said';
}

/** An observation as the contract has it; of output the last lines count. */
export function told({ detail, output, ...rest }: Observation): Observation {
  const end = output?.slice(-outputCharacters).replaceAll(/\0|\p{Surrogate}/gu, '\ufffd');
  return {
    ...rest,
    ...(detail === undefined || detail === '' ? {} : { detail: storable(detail) }),
    ...(end === undefined ? {} : { output: end }),
  };
}
