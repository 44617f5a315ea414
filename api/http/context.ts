// What middleware leaves on the request context for routes to read.

import type { Actor, Deps } from '../deps.ts';

/**
 * `deps` sees the actor's workspace only, where the database can keep others away; `service` sees
 * all of them. As a binding it is what workerd serves one request with; elsewhere all are served
 * with what the app was made of.
 */
export type Env = {
  Bindings: { deps?: Deps };
  Variables: {
    requestId: string;
    traceId: string;
    /** From where it comes, as it is counted. */
    address: string;
    /** The bearer token of this request was found valid. */
    tokenPassed: boolean;
    /** What a style of the page must carry to hold. */
    secureHeadersNonce?: string;
    actor: Actor;
    deps: Deps;
    service: Deps;
  };
};
