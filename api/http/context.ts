// What middleware leaves on the request context for routes to read.

import type { Actor } from '../deps.ts';

export type Env = { Variables: { requestId: string; actor: Actor } };
