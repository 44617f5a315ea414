// npm run bench -- NAME [ARGUMENTS]: measurements on demand. Nothing here is a test.

import { scale } from './scale.ts';
import { weights } from './weights.ts';

const benches: Record<string, (args: string[]) => Promise<void>> = { scale, weights };

const [name, ...args] = process.argv.slice(2);
if (benches[name] === undefined) {
  console.error(`which one? ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
} else {
  await benches[name](args);
}
