// Scanning a folder: the numbers by hand, and that a broken case is named while the rest goes on.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readVolume, type Size, writeVolume } from '../../../trainer/nifti.ts';
import { fiveFolds, foregroundLabels, readRawDataset } from '../../../trainer/nnunet-raw.ts';
import { writePhantomDataset } from '../../../trainer/phantom.ts';
import { scannedAttributes } from '../../../trainer/scan/attributes.ts';
import { countComponents } from '../../../trainer/scan/components.ts';
import { measureIntensity } from '../../../trainer/scan/quality.ts';
import { scanDataset } from '../../../trainer/scan/scan.ts';

const fresh = () => mkdtempSync(join(tmpdir(), 'counterweight-scan-'));
const json = {
  channel_names: { 0: 'CT' },
  labels: { background: 0, liver: 1, tumour: 2 },
  file_ending: '.nii.gz',
};

async function tinyFolder(): Promise<string> {
  const dir = fresh();
  for (const name of ['imagesTr', 'labelsTr']) mkdirSync(join(dir, name));
  writeFileSync(join(dir, 'dataset.json'), JSON.stringify({ ...json, name: 'Liver tumours' }));
  for (const id of ['one', 'two']) {
    const shape: Size = [2, 3, 4];
    const spacing: Size = [5, 2, 1];
    const data = Float32Array.from({ length: 24 }, (_, k) => k);
    await writeVolume(join(dir, `imagesTr/${id}_0000.nii.gz`), { data, shape, spacing });
    const labels = new Float32Array(24).fill(1, 0, 3).fill(1, 10, 11);
    await writeVolume(
      join(dir, `labelsTr/${id}.nii.gz`),
      { data: labels, shape, spacing },
      'uint8',
    );
  }
  return dir;
}

async function scanned(dir: string) {
  const lines = [];
  const faults = [];
  for await (const one of scanDataset(dir).cases) {
    if ('line' in one) lines.push(one.line);
    else faults.push(one.fault);
  }
  return { lines, faults };
}

describe('a scan', () => {
  test('measures volumes in ml, components, shape and spacing', async () => {
    const { lines } = await scanned(await tinyFolder());
    expect(lines[0].id).toBe('one');
    expect(lines[0].attributes).toMatchObject({
      spacingX: 1,
      spacingY: 2,
      spacingZ: 5,
      shapeX: 4,
      shapeY: 3,
      shapeZ: 2,
      labels: ['liver'],
      volumeMl_liver: 0.04,
      components_liver: 2,
      volumeMl_tumour: 0,
      components_tumour: 0,
      foregroundFraction: 4 / 24,
      intensityMean: 11.5,
    });
    expect(lines[0].files.map(({ path }) => path)).toEqual([
      'imagesTr/one_0000.nii.gz',
      'labelsTr/one.nii.gz',
    ]);
  });

  test('measures exactly the attributes that push declares', async () => {
    const { lines } = await scanned(await tinyFolder());
    const declared = scannedAttributes(readRawDataset(await tinyFolder()));
    expect(Object.keys(lines[0].attributes).sort()).toEqual(Object.keys(declared).sort());
  });

  test('names a broken file and goes on with the rest', async () => {
    const dir = await tinyFolder();
    const path = join(dir, 'imagesTr/one_0000.nii.gz');
    writeFileSync(path, readFileSync(path).subarray(0, 60));
    const { lines, faults } = await scanned(dir);
    expect(lines.map(({ id }) => id)).toEqual(['two']);
    expect(faults).toEqual([{ id: 'one', detail: expect.stringContaining(path) }]);
  });

  test('names an image that is missing', async () => {
    const dir = await tinyFolder();
    rmSync(join(dir, 'imagesTr/two_0000.nii.gz'));
    const { faults } = await scanned(dir);
    expect(faults).toEqual([
      { id: 'two', detail: expect.stringContaining('two_0000.nii.gz is missing') },
    ]);
  });

  test('gives each channel its own name, and refuses names that fall together', () => {
    const raw = { ...readDataset({ ...json, channel_names: { 0: 'T1', 1: 'FLAIR' } }) };
    expect(Object.keys(scannedAttributes(raw))).toEqual(
      expect.arrayContaining(['quality_T1', 'noise_FLAIR']),
    );
    const clash = readDataset({ ...json, labels: { background: 0, 'a-b': 1, 'a b': 2 } });
    expect(() => scannedAttributes(clash)).toThrow('volumeMl_a_b');
  });
});

function readDataset(document: object) {
  const dir = fresh();
  mkdirSync(join(dir, 'labelsTr'));
  writeFileSync(join(dir, 'labelsTr/a.nii.gz'), '');
  writeFileSync(join(dir, 'dataset.json'), JSON.stringify(document));
  return readRawDataset(dir);
}

describe('a raw folder', () => {
  test('is refused with what is missing in it', () => {
    expect(() => readRawDataset(fresh())).toThrow('has no dataset.json');
    expect(() => readDataset({ ...json, labels: { liver: 1 } })).toThrow('background 0');
    expect(() => readDataset({ ...json, file_ending: '.mha' })).toThrow('.mha are not read');
    const region = readDataset({ ...json, labels: { background: 0, whole: [1, 2] } });
    expect(foregroundLabels(region.labels)).toEqual([{ name: 'whole', values: [1, 2] }]);
  });

  test('without folds gets five that split every case once, the same every time', () => {
    const ids = Array.from({ length: 23 }, (_, k) => `case${k}`);
    const folds = fiveFolds(ids);
    expect(folds.flatMap(({ val }) => val).sort()).toEqual([...ids].sort());
    for (const { train, val } of folds) expect([...train, ...val].sort()).toEqual([...ids].sort());
    expect(fiveFolds([...ids].reverse())).toEqual(folds);
  });
});

describe('measurements', () => {
  test('count voxels that touch by a corner as one component', () => {
    const labels = new Uint8Array(27);
    labels[0] = labels[13] = labels[26] = 1;
    expect(countComponents(labels, [3, 3, 3], [1])).toBe(1);
    labels[13] = 2;
    expect(countComponents(labels, [3, 3, 3], [1])).toBe(2);
  });

  const blurred = (data: Float32Array, width: number) =>
    data.map(
      (value, k) =>
        (value +
          (data[k - 1] ?? value) +
          (data[k + 1] ?? value) +
          (data[k - width] ?? value) +
          (data[k + width] ?? value)) /
        5,
    );
  const noisy = (data: Float32Array, size: number) =>
    data.map((value, k) => value + size * Math.sin(k * 12.9898) * Math.cos(k * 78.233));

  async function qualities(path: string, noise: number) {
    const { data, shape } = await readVolume(path);
    const score = (values: Float32Array) => measureIntensity(values, shape).quality;
    return {
      own: score(data),
      noisy: score(noisy(data, noise)),
      blurred: score(blurred(blurred(data, shape[2]), shape[2])),
    };
  }

  test('lower the quality of a phantom when noise is added', async () => {
    const dir = await writePhantomDataset(fresh(), { cases: 2 });
    const found = await qualities(join(dir, 'imagesTr/phantom_001_0000.nii.gz'), 60);
    expect(found.noisy).toBeLessThan(found.own);
  });

  const shared = resolve(process.env.CW_SHARED ?? join(import.meta.dirname, '../../../../shared'));
  const real = join(shared, 'data/Dataset004_Hippocampus/imagesTr/hippocampus_001_0000.nii.gz');
  if (!existsSync(real)) {
    console.warn(
      `SKIPPED: no real images at ${real}; set CW_SHARED to a folder that has data/Dataset004_Hippocampus`,
    );
  }
  test.skipIf(!existsSync(real))(
    'lower the quality of a real image when noise or blur is added',
    async () => {
      const found = await qualities(real, 60);
      expect(found.noisy).toBeLessThan(found.own);
      expect(found.blurred).toBeLessThan(found.own);
    },
  );
});

test('a phantom is the same for the same seed and has lesions on both sides of every fold', async () => {
  const [one, two] = [await writePhantomDataset(fresh()), await writePhantomDataset(fresh())];
  for (const file of [
    'dataset.json',
    'splits_final.json',
    'imagesTr/phantom_008_0000.nii.gz',
    'labelsTr/phantom_008.nii.gz',
  ]) {
    expect(readFileSync(join(one, file))).toEqual(readFileSync(join(two, file)));
  }
  const { lines } = await scanned(one);
  const rare = new Set(
    lines
      .filter(({ attributes }) => (attributes.labels as string[]).includes('lesion'))
      .map(({ id }) => id),
  );
  expect(rare.size).toBe(10);
  for (const { train, val } of readRawDataset(one).splits ?? []) {
    expect(train.some((id) => rare.has(id))).toBe(true);
    expect(val.some((id) => rare.has(id))).toBe(true);
  }
});
