// npm run experiment -- NAME [FLAGS]: what the method does to a network, measured on demand.
// Nothing here is a test.

import { adaptiveExperiment } from './adaptive.ts';
import { hippocampus } from './hippocampus.ts';
import { nnunetExperiment } from './nnunet.ts';
import { prevalenceExperiment } from './prevalence.ts';
import { rareExperiment } from './rare.ts';
import { runExperiment } from './trials.ts';

const experiments = new Map([
  ['adaptive', (args: string[]) => runExperiment(adaptiveExperiment, args)],
  ['hippocampus', hippocampus],
  ['nnunet', nnunetExperiment],
  ['prevalence', (args: string[]) => runExperiment(prevalenceExperiment, args)],
  ['rare', (args: string[]) => runExperiment(rareExperiment, args)],
]);

const [name, ...args] = process.argv.slice(2);
const experiment = experiments.get(name);
if (experiment === undefined) {
  console.error(`which one? ${[...experiments.keys()].join(', ')}`);
  process.exitCode = 2;
} else {
  await experiment(args);
}
