// The first module of a case worker. A worker does not inherit `--import tsx` on Node 20, so this
// one is JavaScript and lets Node read TypeScript before it loads the rest.

import { register } from 'tsx/esm/api';

register();
await import('./worker.ts');
