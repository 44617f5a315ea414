// npm run bench -- NAME [ARGUMENTS]: measurements on demand. Nothing here is a test.

import { scale } from './scale.ts';
import { plansAndCopies } from './weights.ts';

const benches = new Map([
  ['scale', scale],
  ['weights', plansAndCopies],
]);

const [name, ...args] = process.argv.slice(2);
const bench = benches.get(name);
if (bench === undefined) {
  console.error(`which one? ${[...benches.keys()].join(', ')}`);
  process.exitCode = 2;
} else {
  await bench(args);
}
