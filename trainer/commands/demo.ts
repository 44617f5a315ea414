// counterweight demo: the whole chain on a phantom, or on a folder of images.

import { exitCodes } from '../client.ts';
import { type DemoOptions, runDemo } from '../demo/demo.ts';
import type { AddCommand } from './io.ts';
import { wholeOf } from './what-if.ts';

export const demo: AddCommand = (program, io) => {
  program
    .command('demo')
    .description('the whole chain: scan, push, freeze, train uniform and weighted, verify')
    .option('--data <dir>', 'an nnU-Net raw folder (else a phantom is made)')
    .option('--exit', 'end the service when both jobs have ended')
    .option('--json <file>', 'write the figures as JSON')
    .option('--steps <number>', 'training steps of each job', wholeOf)
    .option('--epochs <number>', 'epochs that the steps are divided into', wholeOf, 10)
    .option('--backend <name>', 'auto, native, wasm or cpu', 'auto')
    .option('--seed <number>', 'seed of draws and networks', wholeOf, 1)
    .option('--port <number>', 'port of the service (0: any free one)', wholeOf, 0)
    .action(async (options: DemoOptions) => {
      const outcome = await runDemo(io, options);
      // A scan that was going on would keep the process alive until it is done.
      if (outcome === 'stopped') process.exit(130);
      if (outcome === 'unproven') io.exitWith(exitCodes.failed);
    });
};
