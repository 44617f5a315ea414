// npm run bench -- NAME [ARGUMENT]: measurements on demand. Nothing here is a test.

import { scale } from './scale.ts';

const benches: Record<string, (argument?: number) => Promise<void>> = { scale };

const [name, argument] = process.argv.slice(2);
if (benches[name] === undefined) {
  console.error(`which one? ${Object.keys(benches).join(', ')}`);
  process.exitCode = 2;
} else {
  await benches[name](argument === undefined ? undefined : Number(argument));
}
