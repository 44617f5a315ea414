// Stock nnU-Net, weighted, and weighted and corrected, on fold 0 of a real data set in which a few
// training cases look different: their contrast is inverted, as another sequence's would be.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readVolume, writeVolume } from '../nifti.ts';
import { fiveFolds, type RawDataset, readRawDataset } from '../nnunet-raw.ts';
import { type Frozen, frozen } from './frozen.ts';

const say = (line: string) => console.error(line);

const options = {
  data: { type: 'string' },
  python: { type: 'string', default: process.env.CW_NNUNET_PYTHON ?? 'python3' },
  seeds: { type: 'string', default: '1,2,3' },
  epochs: { type: 'string', default: '15' },
  iterations: { type: 'string', default: '100' },
  scarce: { type: 'string', default: '6' },
  json: { type: 'string' },
} as const;

/** nnU-Net's class and ours, for a number of iterations that nnU-Net has no class for. */
const trainers = `"""Stock nnU-Net and the adapter, for a small budget and so without mirroring."""
import os

from counterweight.trainer import CounterweightTrainer
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class NoMirroring:
    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(self):
        found = super().configure_rotation_dummyDA_mirroring_and_inital_patch_size()
        self.inference_allowed_mirroring_axes = None
        return *found[:3], None


class PlannedTrainer(NoMirroring, CounterweightTrainer):
    pass


class StockTrainer(NoMirroring, nnUNetTrainer):
    def initialize(self):
        self.num_epochs = int(os.environ["EXPERIMENT_EPOCHS"])
        self.num_iterations_per_epoch = int(os.environ["EXPERIMENT_ITERATIONS"])
        self.num_val_iterations_per_epoch = 1
        self.save_every = 10000
        super().initialize()
`;

const rare = { name: 'rare', kind: 'rarity' as const, by: ['contrast'] };
const sampling = { terms: [{ ...rare, method: 'inverse-frequency' as const, power: 1 }] };
const arms = {
  stock: null,
  weighted: { sampling, correction: { strength: 0 } },
  'weighted and corrected': { sampling, correction: { strength: 1 } },
};
type Arm = keyof typeof arms;

type Given = { work: string; python: string; epochs: number; iterations: number };
type Sides = { train: string[]; val: string[]; inverted: Set<string> };

/** `npm run experiment -- nnunet --data DIR [--python PATH] [--seeds 1,2,3] ...`: README.md. */
export async function nnunetExperiment(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options });
  if (values.data === undefined) throw new Error('--data DIR names a raw folder, DatasetXXX_Name');
  const work = mkdtempSync(join(tmpdir(), 'counterweight-experiment-'));
  const { python } = values;
  const given = { work, python, epochs: +values.epochs, iterations: +values.iterations };
  const rows: Record<string, string | number>[] = [];
  try {
    const raw = readRawDataset(values.data);
    const sides = await writeData(raw, given, +values.scarce);
    preprocess(given, basename(values.data), sides);
    for (const seed of values.seeds.split(',').map(Number)) {
      for (const arm of Object.keys(arms) as Arm[]) {
        const began = performance.now();
        const dice = trained(given, { arm, seed, sides, name: basename(values.data) });
        const seconds = Math.round((performance.now() - began) / 1000);
        rows.push({ seed, arm, ...dice, seconds });
        say(JSON.stringify(rows.at(-1)));
      }
    }
    console.table(rows);
    if (values.json) writeFileSync(values.json, JSON.stringify({ ...values, rows }, null, 2));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Every case as a link but for the inverted ones: a few to train on, half of the held-out ones. */
async function writeData(raw: RawDataset, { work }: Given, scarce: number): Promise<Sides> {
  const [{ train, val }] = fiveFolds(raw.cases.map(({ id }) => id));
  const every = Math.floor(train.length / scarce);
  const inverted = new Set([
    ...train.filter((_, k) => k % every === 0).slice(0, scarce),
    ...val.filter((_, k) => k % 2 === 0),
  ]);
  const folder = join(work, 'raw', basename(raw.dir));
  for (const name of ['imagesTr', 'labelsTr']) mkdirSync(join(folder, name), { recursive: true });
  cpSync(join(raw.dir, 'dataset.json'), join(folder, 'dataset.json'));
  for (const { id, images, label } of raw.cases) {
    symlinkSync(resolve(raw.dir, label), join(folder, 'labelsTr', basename(label)));
    for (const image of images) {
      const to = join(folder, 'imagesTr', basename(image));
      if (inverted.has(id)) await writeInverted(resolve(raw.dir, image), to);
      else symlinkSync(resolve(raw.dir, image), to);
    }
  }
  say(`${scarce} of ${train.length} training cases are inverted, half of ${val.length} others`);
  return { train, val, inverted };
}

async function writeInverted(from: string, to: string): Promise<void> {
  const volume = await readVolume(from);
  const largest = volume.data.reduce((most, value) => Math.max(most, value), -Infinity);
  await writeVolume(to, { ...volume, data: volume.data.map((value) => largest - value) });
}

function environmentOf({ work, epochs, iterations }: Given): Record<string, string> {
  return {
    nnUNet_raw: join(work, 'raw'),
    nnUNet_preprocessed: join(work, 'preprocessed'),
    nnUNet_results: join(work, 'results'),
    nnUNet_n_proc_DA: '1',
    nnUNet_def_n_proc: '1',
    EXPERIMENT_EPOCHS: String(epochs),
    EXPERIMENT_ITERATIONS: String(iterations),
  };
}

function run(given: Given, program: string, args: string[], more: Record<string, string> = {}) {
  const command = join(dirname(given.python), program);
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, ...environmentOf(given), ...more },
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ended with ${status}: ${`${stdout}${stderr}`.slice(-2000)}`);
}

/** nnU-Net's own plans, then a copy with a smaller network and patch: two cores have no hours. */
function preprocess(given: Given, name: string, { train, val }: Sides): void {
  const number = String(Number(/^Dataset(\d{3})_/.exec(name)![1]));
  const args = ['-d', number, '-c', '3d_fullres', '-np', '2', '-npfp', '2'];
  run(given, 'nnUNetv2_plan_and_preprocess', args);
  const folder = join(given.work, 'preprocessed', name);
  const plans = JSON.parse(readFileSync(join(folder, 'nnUNetPlans.json'), 'utf8'));
  const configuration = plans.configurations['3d_fullres'];
  const network = configuration.architecture.arch_kwargs;
  for (const part of ['kernel_sizes', 'strides']) network[part] = network[part].slice(0, 3);
  const size = { n_stages: 3, features_per_stage: [16, 32, 64] };
  Object.assign(network, size, { n_conv_per_stage: [2, 2, 2], n_conv_per_stage_decoder: [2, 2] });
  Object.assign(configuration, { patch_size: [24, 32, 24], batch_size: 2 });
  writeFileSync(join(folder, 'short.json'), JSON.stringify({ ...plans, plans_name: 'short' }));
  writeFileSync(join(folder, 'splits_final.json'), JSON.stringify([{ train, val }]));
  mkdirSync(join(given.work, 'trainers'));
  writeFileSync(join(given.work, 'trainers', 'short_trainers.py'), trainers);
}

function trained(
  given: Given,
  { arm, seed, sides, name }: { arm: Arm; seed: number; sides: Sides; name: string },
): Record<string, number> {
  const { work, epochs, iterations } = given;
  const trainer = arms[arm] === null ? 'StockTrainer' : 'PlannedTrainer';
  const environment: Record<string, string> = { nnUNet_extTrainer: join(work, 'trainers') };
  if (arms[arm] !== null) {
    environment.CW_SNAPSHOT = join(work, 'snapshot.json');
    environment.CW_SEED = String(seed);
    environment.CW_SETTINGS = JSON.stringify({
      epochs,
      batchSize: 2,
      drawsPerEpoch: 2 * iterations,
      checkpointEvery: 10_000,
      nnunet: { validationBatches: 1 },
    });
    const snapshot = snapshotOf(name, sides, arms[arm]);
    writeFileSync(environment.CW_SNAPSHOT, JSON.stringify(documentOf(snapshot)));
  }
  const number = name.slice('Dataset'.length, 'Dataset'.length + 3);
  const args = [number, '3d_fullres', '0', '-tr', trainer, '-p', 'short', '-device', 'cpu'];
  run(given, 'nnUNetv2_train', args, environment);
  const results = join(work, 'results', name, `${trainer}__short__3d_fullres`, 'fold_0');
  const dice = diceOf(join(results, 'validation', 'summary.json'), sides.inverted);
  rmSync(results, { recursive: true });
  return dice;
}

function snapshotOf(name: string, { train, inverted }: Sides, rules: object): Frozen {
  const contrast = train.map((id) => (inverted.has(id) ? 'inverted' : 'plain'));
  const cases = { ids: train, columns: { contrast } };
  const attributes = { contrast: { type: 'string' as const } };
  return frozen({ dataset: name, cases, attributes: attributes as never, rules, fold: 0 });
}

function documentOf({ digest, header, resolved }: Frozen): object {
  const { ids, targetUnits, drawUnits, lossFactors } = resolved;
  const cases = ids.map((id, k) => ({
    id,
    targetUnits: String(targetUnits[k]),
    drawUnits: String(drawUnits[k]),
    lossFactor: lossFactors[k],
  }));
  return { digest, header, cases };
}

type Summary = {
  metric_per_case: { reference_file: string; metrics: Record<string, { Dice: number }> }[];
};

/** Mean foreground Dice of the inverted and of the plain validation cases. */
function diceOf(path: string, inverted: Set<string>): Record<string, number> {
  const { metric_per_case: cases }: Summary = JSON.parse(readFileSync(path, 'utf8'));
  const mean = (wanted: boolean) => {
    const some = cases.filter(
      ({ reference_file: file }) => inverted.has(basename(file, '.nii.gz')) === wanted,
    );
    const values = some.flatMap(({ metrics }) => Object.values(metrics).map(({ Dice }) => Dice));
    return Number((values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(3));
  };
  return { inverted: mean(true), plain: mean(false) };
}
