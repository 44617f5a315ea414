// Ports of the loopback address that nobody listens on.

import { createServer } from 'node:net';

/** Listens for a moment; the port, or null where it is taken. 0: one that the system gives out. */
async function tried(wanted: number): Promise<number | null> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.on('error', () => resolve(null));
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export async function freePort(): Promise<number> {
  const port = await tried(0);
  if (port === null) throw new Error('no free port');
  return port;
}

/**
 * A port for a server that is killed and started again. The system gives it to nobody: while the
 * server is away, one of its own clients could get it for a connection, even to itself.
 */
export async function steadyPort(): Promise<number> {
  for (let tries = 0; tries < 50; tries += 1) {
    const port = await tried(20_000 + ((process.pid * 7 + tries * 61) % 12_000));
    if (port !== null) return port;
  }
  throw new Error('no free port from 20000 to 31999');
}
