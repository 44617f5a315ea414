// A clean end of the process. As the first process of a container it gets only the signals that it
// listens for, so it listens from the start.

import type { ServerType } from '@hono/node-server';

/** Streams that are open after this long are cut off; a container is given ten seconds. */
const patienceMs = 5_000;

/** Ends the process on SIGTERM or SIGINT with 0, after what was given by `with`. */
export function stopOnSignals(): { with: (close: () => Promise<void>) => void } {
  let close = async () => {};
  let stopping = false;
  const stop = async () => {
    // Under npm one Ctrl-C arrives twice; the second must not cut the first short.
    if (stopping) return;
    stopping = true;
    await close();
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return {
    with: (given) => {
      close = given;
    },
  };
}

/** Takes no new request and waits for those under way. */
export async function closeServer(server: ServerType): Promise<void> {
  if (!('closeIdleConnections' in server)) throw new Error('this is no HTTP/1.1 server');
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection is idle again once its last request has been answered.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const patience = setTimeout(() => server.closeAllConnections(), patienceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(patience);
}
