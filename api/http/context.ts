// What middleware leaves on the request context for routes to read.

import type { Actor, Deps } from '../deps.ts';

/** `deps` sees the actor's workspace only, where the database can keep others away. */
export type Env = {
  Variables: { requestId: string; traceId: string; actor: Actor; deps: Deps };
};
