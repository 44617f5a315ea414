// One case measured: what the line of a scan says.

import { join } from 'node:path';
import { fileSha256, labelArray, requireSameShape } from '../data.ts';
import { readVolume } from '../nifti.ts';
import { foregroundLabels, labelValues, type RawCase, type RawDataset } from '../nnunet-raw.ts';
import { attributeSuffix, channelSuffixes } from './attributes.ts';
import { countComponents } from './components.ts';
import { measureIntensity } from './quality.ts';

export type CaseLine = {
  id: string;
  attributes: Record<string, unknown>;
  files: { path: string; sha256: string }[];
};

/** Measures a case. Throws an Error that names the file and what is wrong with it. */
export async function measureCase(raw: RawDataset, one: RawCase): Promise<CaseLine> {
  const path = (file: string) => join(raw.dir, file);
  const truth = await readVolume(path(one.label));
  const labels = labelArray(truth, path(one.label), labelValues(raw.labels));
  const [z, y, x] = truth.shape;
  const [dz, dy, dx] = truth.spacing;
  const attributes: Record<string, unknown> = {
    spacingX: dx,
    spacingY: dy,
    spacingZ: dz,
    shapeX: x,
    shapeY: y,
    shapeZ: z,
    ...measureLabels(raw, { labels, shape: truth.shape, voxelMl: (dx * dy * dz) / 1000 }),
  };
  for (const [k, suffix] of channelSuffixes(raw).entries()) {
    const volume = await readVolume(path(one.images[k]));
    requireSameShape(path(one.images[k]), volume.shape, path(one.label), truth.shape);
    if (!volume.data.every(Number.isFinite)) {
      throw new Error(`${path(one.images[k])}: the image holds voxels that are not finite`);
    }
    const { mean, std, noise, sharpness, quality } = measureIntensity(volume.data, volume.shape);
    attributes[`intensityMean${suffix}`] = mean;
    attributes[`intensityStd${suffix}`] = std;
    attributes[`noise${suffix}`] = noise;
    attributes[`sharpness${suffix}`] = sharpness;
    attributes[`quality${suffix}`] = quality;
  }
  const files = [];
  for (const file of [...one.images, one.label]) {
    files.push({ path: file, sha256: await fileSha256(path(file)) });
  }
  return { id: one.id, attributes, files };
}

function measureLabels(
  raw: RawDataset,
  {
    labels,
    shape,
    voxelMl,
  }: { labels: Uint8Array; shape: [number, number, number]; voxelMl: number },
): Record<string, unknown> {
  const counts = new Uint32Array(256);
  for (const label of labels) counts[label]++;
  const attributes: Record<string, unknown> = {};
  const present: string[] = [];
  let foreground = 0;
  const named = foregroundLabels(raw.labels);
  for (const { name, values } of named) {
    const count = values.reduce((sum, value) => sum + counts[value], 0);
    if (count > 0) present.push(name);
    attributes[`volumeMl_${attributeSuffix(name)}`] = count * voxelMl;
    attributes[`components_${attributeSuffix(name)}`] = countComponents(labels, shape, values);
  }
  // Regions may lie within each other; each value is counted once.
  for (const value of new Set(named.flatMap(({ values }) => values))) foreground += counts[value];
  return { ...attributes, labels: present, foregroundFraction: foreground / labels.length };
}
