// Steps of the trainer's own network in a process of their own: the counterpart of unet.py.

import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { openLearner } from '../../trainer/learner.ts';
import { type BackendName, chooseBackend } from '../../trainer/tensorflow/backend.ts';
import { numbers } from '../../trainer/tensorflow/self-test.ts';

type Setup = { features: number[]; batch: number; patch: [number, number, number] };

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => {
  const { value, done } = await lines.next();
  return done ? null : JSON.parse(value);
};
const say = (answer: unknown) => console.log(JSON.stringify(answer));

const wanted = process.argv[2] as BackendName;
const { features, batch, patch }: Setup = await next();
const backend = await chooseBackend({ wanted, log: () => {} });
const learner = await openLearner({
  batchSize: batch,
  cores: cpus().length,
  backend: backend.name,
  patch,
  channelCount: 1,
  classCount: 3,
  features,
  seed: 1,
});
const images = numbers([batch, ...patch], 1);
const input = {
  images,
  labels: Int32Array.from(images, (value) => (value > 0.5 ? 2 : value > 0 ? 1 : 0)),
  lossFactors: Array.from({ length: batch }, () => 1),
  learningRate: 1e-3,
};
const milliseconds = () => {
  const startedAt = performance.now();
  learner.step(input);
  return performance.now() - startedAt;
};
for (let k = 0; k < 3; k++) milliseconds();
say({ parameters: learner.parameterCount, version: JSON.stringify(backend.versions) });
for (let steps = await next(); steps !== null; steps = await next()) {
  say({ milliseconds: Array.from({ length: steps }, milliseconds) });
}
learner.dispose();
