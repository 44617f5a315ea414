// Ignored voxels: in no loss, gradient, Dice or count, and where none is, nothing changes.

import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { openCases } from '../../trainer/batches.ts';
import { loadCase } from '../../trainer/data.ts';
import { countVoxels, volumeLoss } from '../../trainer/evaluate.ts';
import { createLearner } from '../../trainer/learner.ts';
import { caseLosses } from '../../trainer/loss.ts';
import { hasIgnored, maskedCaseLosses } from '../../trainer/masked-loss.ts';
import { writeVolume } from '../../trainer/nifti.ts';
import { chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers, relativeError } from '../../trainer/tensorflow/self-test.ts';
import { backendUnderTest } from '../support/native.ts';

beforeAll(async () => {
  await chooseBackend({ wanted: backendUnderTest, log: () => {} });
});

const classes = 3;
const voxels = 12;
const logits = () => numbers([2, voxels, classes], 4);
// Two cases; 3 is past the last class.
const truth = [0, 1, 2, 3, 1, 0, 2, 3, 3, 0, 1, 2, 3, 0, 0, 1, 3, 3, 1, 0, 0, 1, 1, 0];

type CaseLosses = typeof caseLosses;

function lossesOf(of: CaseLosses, values: Float32Array, labels: number[], cases: number) {
  return tf.tidy(() => {
    const width = labels.length / cases;
    const given = tf.tensor5d(values, [cases, 1, 1, width, classes]);
    const wanted = tf.tensor4d(labels, [cases, 1, 1, width], 'int32');
    const found = of(given, wanted).dataSync<'float32'>();
    const gradient = tf.grad((some) => of(some as tf.Tensor5D, wanted).sum())(given);
    return { losses: [...found], gradient: [...gradient.dataSync()] };
  });
}

const knownOf = (place: number) =>
  Array.from({ length: voxels }, (_, k) => place * voxels + k).filter((k) => truth[k] < classes);

test('the loss and gradients are those of the voxels that are not ignored', () => {
  const values = Float32Array.from(logits());
  const { losses, gradient } = lossesOf(maskedCaseLosses, values, truth, 2);
  for (const place of [0, 1]) {
    const known = knownOf(place);
    const rows = known.flatMap((k) => [...values.slice(k * classes, (k + 1) * classes)]);
    const labels = known.map((k) => truth[k]);
    const alone = lossesOf(caseLosses, Float32Array.from(rows), labels, 1);
    expect(relativeError([losses[place]], alone.losses)).toBeLessThan(1e-5);
    const own = known.flatMap((k) => gradient.slice(k * classes, (k + 1) * classes));
    expect(relativeError(own, alone.gradient)).toBeLessThan(1e-5);
  }
  const ignored = truth.flatMap((label, k) => (label < classes ? [] : [k]));
  const there = ignored.flatMap((k) => gradient.slice(k * classes, (k + 1) * classes));
  expect(there.length).toBe(18);
  expect(Math.max(...there.map(Math.abs))).toBe(0);
});

test('without ignored voxels it is the plain loss; ignored everywhere it is 0', () => {
  const values = Float32Array.from(logits());
  const labels = truth.map((label) => label % classes);
  const masked = lossesOf(maskedCaseLosses, values, labels, 2);
  const plain = lossesOf(caseLosses, values, labels, 2);
  expect(relativeError(masked.losses, plain.losses)).toBeLessThan(1e-5);
  expect(relativeError(masked.gradient, plain.gradient)).toBeLessThan(1e-5);
  const none = lossesOf(maskedCaseLosses, values, Array(24).fill(classes), 2);
  expect(Math.max(...none.losses.map(Math.abs))).toBeLessThan(1e-5);
  expect([hasIgnored(labels, classes), hasIgnored(truth, classes)]).toEqual([false, true]);
});

test('a step learns nothing from a case that is ignored everywhere', () => {
  const patch: [number, number, number] = [1, 8, 8];
  const size = { patch, channelCount: 1, classCount: classes, features: [2, 2], seed: 1 };
  const learner = createLearner({ ...size, backend: backendUnderTest });
  const images = Float32Array.from(numbers([2, 64], 3));
  const labels = Int32Array.from({ length: 128 }, (_, k) => (k < 64 ? k % classes : classes));
  const rates = { lossFactors: [0, 1], learningRate: 0.01 };
  const ignored = learner.step({ images, labels, ...rates });
  expect(ignored.gradientNorm).toBeLessThan(1e-6);
  expect(ignored.caseLosses[0]).toBeGreaterThan(0.5);
  const known = learner.step({ images, labels, ...rates, lossFactors: [1, 0] });
  expect(known.gradientNorm).toBeGreaterThan(0.01);
  learner.dispose();
});

test('validation counts and loss leave ignored voxels out', () => {
  const counts = countVoxels([1, 1, 0, 1], [1, 2, 0, 0], 2);
  expect(counts).toEqual([
    { predicted: 1, truth: 2, both: 1 },
    { predicted: 2, truth: 1, both: 1 },
  ]);
  const probabilities = Float32Array.from([0.2, 0.8, 0.5, 0.5, 0.9, 0.1]);
  const wanted = volumeLoss(Float32Array.from([0.2, 0.8, 0.9, 0.1]), [1, 0], 2);
  expect(volumeLoss(probabilities, [1, 2, 0], 2)).toBeCloseTo(wanted, 10);
});

test('no patch is made to show ignored voxels', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cw-ignored-'));
  const [image, label] = [join(dir, 'a_0000.nii.gz'), join(dir, 'a.nii.gz')];
  const grid = { shape: [1, 2, 3] as [number, number, number], spacing: [1, 1, 1] as never };
  await writeVolume(image, { data: Float32Array.from([1, 2, 3, 4, 5, 6]), ...grid });
  await writeVolume(label, { data: Float32Array.from([0, 1, 2, 2, 1, 0]), ...grid }, 'uint8');
  const files = { id: 'a', images: [image], label, values: new Set([0, 1, 2]) };
  expect([...(await loadCase(files)).foreground.keys()]).toEqual([1, 2]);
  const loaded = await loadCase({ ...files, ignored: 2 });
  expect([...loaded.foreground.keys()]).toEqual([1]);
  expect([...loaded.labels]).toEqual([0, 1, 2, 2, 1, 0]);
});

test('a job with an ignore label reads one value more, and only then', () => {
  const given = { lines: [], dataPath: '', channelCount: 1, classCount: 2, cacheBytes: 1 };
  const { values, ignored } = openCases({ ...given, ignore: true }).loading;
  expect({ values: [...values], ignored }).toEqual({ values: [0, 1, 2], ignored: 2 });
  const plain = openCases(given).loading;
  expect({ values: [...plain.values], ignored: plain.ignored }).toEqual({ values: [0, 1] });
});
