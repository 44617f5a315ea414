// npm run experiment -- NAME [FLAGS]: what the method does to a network, measured on demand. Nothing
// here is a test.

import { hippocampus } from './hippocampus.ts';

const experiments = new Map([['hippocampus', hippocampus]]);

const [name, ...args] = process.argv.slice(2);
const experiment = experiments.get(name);
if (experiment === undefined) {
  console.error(`which one? ${[...experiments.keys()].join(', ')}`);
  process.exitCode = 2;
} else {
  await experiment(args);
}
