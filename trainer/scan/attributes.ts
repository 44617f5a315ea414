// The attributes that a scan measures, and the schema under which `push` declares them.

import type { AttributeSchema } from '../../api/contract/attributes.ts';
import { foregroundLabels, type RawDataset } from '../nnunet-raw.ts';

/** A label or channel name as part of an attribute name: other characters become `_`. */
export function attributeSuffix(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/g, '_');
}

/** Suffix per channel, in channel order: none where there is one channel. */
export function channelSuffixes({ channels }: Pick<RawDataset, 'channels'>): string[] {
  const names = Object.entries(channels).sort(([a], [b]) => Number(a) - Number(b));
  return names.length === 1 ? [''] : names.map(([, name]) => `_${attributeSuffix(name)}`);
}

const measured = (unit?: string): AttributeSchema => ({
  type: 'number',
  required: true,
  origin: 'measured',
  ...(unit === undefined ? {} : { unit }),
});

/** The attribute schema of a folder. Throws where two names fall together. */
export function scannedAttributes(raw: RawDataset): Record<string, AttributeSchema> {
  const entries: [string, AttributeSchema][] = [
    ...['spacingX', 'spacingY', 'spacingZ'].map(
      (name) => [name, measured('mm')] as [string, AttributeSchema],
    ),
    ...['shapeX', 'shapeY', 'shapeZ'].map(
      (name) => [name, measured('voxels')] as [string, AttributeSchema],
    ),
    ['labels', { type: 'labels', required: true, origin: 'measured' }],
    ['foregroundFraction', measured()],
  ];
  for (const { name } of foregroundLabels(raw.labels)) {
    entries.push([`volumeMl_${attributeSuffix(name)}`, measured('ml')]);
    entries.push([`components_${attributeSuffix(name)}`, measured()]);
  }
  for (const suffix of channelSuffixes(raw)) {
    for (const name of ['intensityMean', 'intensityStd', 'noise', 'sharpness', 'quality']) {
      entries.push([`${name}${suffix}`, measured()]);
    }
  }
  const names = entries.map(([name]) => name);
  const twice = names.find((name, k) => names.indexOf(name) !== k);
  if (twice !== undefined) {
    throw new Error(
      `two labels or channels of dataset.json both become the attribute ${twice}; rename one`,
    );
  }
  return Object.fromEntries(entries);
}
