// --resource key=value of launch, and how key=value is read there.

import { InvalidArgumentError } from 'commander';
import type { PartialResources } from '../../api/contract/settings.ts';
import { exitCodes, failure } from '../client.ts';

/** A key and its value, as JSON where it is some and as text elsewhere. */
export function pairOf(text: string, given: string): [string, unknown] {
  const [, key, value] = /^([A-Za-z]+)=(.+)$/.exec(text) ?? [];
  if (key === undefined) throw new InvalidArgumentError(given);
  try {
    return [key, JSON.parse(value)];
  } catch {
    return [key, value];
  }
}

const numbers = [
  'gpus',
  'cpus',
  'memoryMiB',
  'timeoutSeconds',
  'queueTimeoutSeconds',
  'retries',
] as const;
type NumberName = (typeof numbers)[number];

export type GivenResources = Partial<Record<NumberName, number>> & { gpuType?: string };

/** Adds one --resource to those before it. */
export function resourceOf(text: string, before: GivenResources): GivenResources {
  const [key, value] = pairOf(text, 'resources are given as key=value, as in gpus=1');
  if (key === 'gpuType') return { ...before, gpuType: text.slice('gpuType='.length) };
  if (!numbers.includes(key as NumberName)) {
    throw new InvalidArgumentError(
      `there is no resource "${key}"; there are gpuType, ${numbers.join(', ')}`,
    );
  }
  if (typeof value === 'number') return { ...before, [key]: value };
  throw new InvalidArgumentError(`${key} is a number, as in ${key}=1`);
}

/** As a launch asks for them; undefined where nothing was said, so that the target's hold. */
export function resourcesOf(given: GivenResources): PartialResources | undefined {
  const { gpus: count, gpuType: type, ...rest } = given;
  if (count === undefined && type !== undefined) {
    throw failure('--resource gpuType goes with --resource gpus=NUMBER', exitCodes.usage);
  }
  if (Object.keys(given).length === 0) return undefined;
  return count === undefined ? rest : { ...rest, gpus: { count, type } };
}
