// The HTTP server of the Node entry: how long it waits for whom, what it says to those who do not
// even speak HTTP, and from where a request comes.

import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { getConnInfo } from '@hono/node-server/conninfo';
import type { Deps } from '../deps.ts';
import type { Settings } from '../env.ts';
import { ProblemError } from '../errors.ts';
import { clientAddress } from '../http/client-address.ts';
import { brokenRequest, brokenResponse } from '../http/problem.ts';
import { nodeLimiter } from '../services/rate-limits.ts';
import type { Database } from '../store/database.ts';

// Headers come at once or not at all; a body has longer, since parts of cases come over slow lines.
const patience = {
  headersTimeout: 15_000,
  requestTimeout: 300_000,
  keepAliveTimeout: 30_000,
  connectionsCheckingInterval: 5_000,
};

/**
 * Serves the app; what is not even HTTP is answered with a problem document too. Resolves when it
 * listens; throws `unavailable` where the port cannot be had.
 */
export async function listen(
  fetch: Parameters<typeof getRequestListener>[0],
  { port, listen: hostname }: Pick<Settings, 'port' | 'listen'>,
): Promise<Server> {
  const errorHandler = () => brokenResponse();
  const server = createServer(patience, getRequestListener(fetch, { hostname, errorHandler }));
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (socket.writable) socket.end(brokenRequest(error.code));
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (cause: Error) => {
      const detail = `cannot listen on ${hostname}:${port}: ${cause.message}`;
      reject(new ProblemError('unavailable', detail, { cause }));
    });
    server.listen(port, hostname);
  });
  return server;
}

/** Who may come in, and how often. */
export function doors(
  { budgets, trustedProxies: trusted, corsOrigins }: Settings,
  database: Database,
): Pick<Deps, 'rateLimits' | 'addressOf' | 'corsOrigins'> {
  const limiter = nodeLimiter({ database, now: () => new Date() });
  const rateLimits = budgets === null ? undefined : { budgets, limiter, lately: new Set<string>() };
  const addressOf: Deps['addressOf'] = ({ env, forwarded }) => {
    const { remote } = getConnInfo({ env } as Parameters<typeof getConnInfo>[0]);
    return clientAddress({ peer: remote.address ?? '', forwarded, trusted });
  };
  return { rateLimits, addressOf, corsOrigins };
}
