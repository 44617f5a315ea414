// counterweight split: a version's split as nnU-Net's splits_final.json, for the folder from which
// nnU-Net reads it.

import { writeFileSync } from 'node:fs';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';

type Options = ServiceOptions & { version: string; split: string; output?: string };

export const split: AddCommand = (program, io) => {
  withService(program.command('split <dataset>'))
    .description("a version's split as nnU-Net's splits_final.json")
    .requiredOption('--version <number>', 'the version of the dataset')
    .requiredOption('--split <name>', 'name of the split')
    .option('--output <file>', 'where to write it (else to stdout)')
    .action(async (dataset: string, { version, split: name, output, ...options }: Options) => {
      const [where, which] = [dataset, name].map(encodeURIComponent);
      const path = `/v1/datasets/${where}/versions/${encodeURIComponent(version)}/splits/${which}`;
      const folds = await clientOf(io, options).call<unknown[]>('GET', path);
      const text = JSON.stringify(folds, null, 4);
      if (output === undefined) return io.out(text);
      writeFileSync(output, `${text}\n`);
      io.say(`${folds.length} folds written to ${output}`);
      if (options.json) io.out(JSON.stringify({ folds: folds.length, output }));
    });
};
