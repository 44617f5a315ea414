// counterweight score CHECKPOINT: a trained model over its fold's validation cases, as images and
// as nnU-Net's summary.json, which `scores push` takes.

import { InvalidArgumentError } from 'commander';
import { exitCodes, failure } from '../client.ts';
import { reportedNames, summaryKeys } from '../labels.ts';
import { scoreFold } from '../score.ts';
import { type BackendChoice, TrainerError, exitCodes as trainerCodes } from '../settings.ts';
import type { AddCommand } from './io.ts';
import { progress } from './progress.ts';
import { wholeOf } from './what-if.ts';

type Options = {
  data: string;
  out: string;
  split?: string;
  fold?: number;
  backend: BackendChoice;
  mirror: boolean;
  anyway?: boolean;
  json?: boolean;
};

function backendOf(name: string): BackendChoice {
  const known: BackendChoice[] = ['auto', 'native', 'wasm', 'cpu'];
  const found = known.find((one) => one === name);
  if (found === undefined) throw new InvalidArgumentError(`one of ${known.join(', ')}`);
  return found;
}

export const score: AddCommand = (program, io) => {
  program
    .command('score <checkpoint>')
    .description("predict a fold's validation cases with a checkpoint, and score them")
    .requiredOption('--data <dir>', 'nnU-Net raw folder')
    .requiredOption('--out <dir>', 'folder for ID.nii.gz and summary.json')
    .option('--split <file>', 'splits_final.json (else the one in the data folder)')
    .option('--fold <number>', 'the fold (else the one the checkpoint was trained on)', wholeOf)
    .option('--backend <name>', 'auto, native, wasm or cpu', backendOf, 'auto')
    .option('--no-mirror', 'look at every window once only')
    .option('--anyway', 'score a fold that the checkpoint was not trained on')
    .option('--json', 'answer JSON on stdout')
    .action(async (checkpoint: string, options: Options) => {
      const { data, out, split, fold, backend, mirror, anyway, json } = options;
      const request = {
        checkpoint,
        dataDir: data,
        outDir: out,
        splitFile: split ?? null,
        fold: fold ?? null,
        backend,
        mirror,
        anyway: anyway ?? false,
      };
      let bar: ReturnType<typeof progress> | null = null;
      const tell = (done: number, count: number) => {
        bar ??= progress(io, 'score', count);
        bar.update(done);
        if (done === count) bar.stop();
      };
      const answer = await scoreFold(request, { say: io.say, tell }).catch((cause) => {
        const refused = cause instanceof TrainerError;
        if (!refused || cause.exitCode !== trainerCodes.configuration) throw cause;
        throw failure(cause.message, exitCodes.usage);
      });
      const { summary, model, file } = answer;
      const names = reportedNames(model.task).slice(1);
      for (const [k, key] of summaryKeys(model.task).entries()) {
        io.say(`${names[k]}: mean Dice ${summary.mean[key].Dice.toFixed(4)}`);
      }
      io.say(`${summary.metric_per_case.length} cases of fold ${answer.fold} scored: ${file}`);
      if (json) io.out(JSON.stringify({ file, fold: answer.fold, mean: summary.mean }));
    });
};
