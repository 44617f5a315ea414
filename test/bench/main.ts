// npm run bench -- NAME [ARGUMENTS]: measurements on demand. Nothing here is a test.

import { apiReports } from './api.ts';
import { launching } from './launching.ts';
import { scale } from './scale.ts';
import { soak } from './soak.ts';
import { trainerSteps } from './trainer.ts';
import { plansAndCopies } from './weights.ts';

const benches = new Map([
  ['api', apiReports],
  ['launching', launching],
  ['scale', scale],
  ['soak', soak],
  ['trainer', trainerSteps],
  ['weights', plansAndCopies],
]);

const [name, ...args] = process.argv.slice(2);
const measure = benches.get(name);
if (measure === undefined) {
  console.error(`which one? ${[...benches.keys()].join(', ')}`);
  process.exitCode = 2;
} else {
  await measure(args);
}
