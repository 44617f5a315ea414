// What middleware leaves on the request context for routes to read.

import type { Actor, Deps } from '../deps.ts';

/**
 * `deps` sees the actor's workspace only, where the database can keep others away. As a binding it
 * is what workerd serves one request with; elsewhere all are served with what the app was made of.
 */
export type Env = {
  Bindings: { deps?: Deps };
  Variables: { requestId: string; actor: Actor; deps: Deps };
};
