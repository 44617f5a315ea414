// What stands before Postgres at Neon: a WebSocket of which each message is bytes for a TCP
// connection to the database, and the other way round. Loopback only.

import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { createWebSocketStream, WebSocketServer } from 'ws';

export type NeonBridge = {
  /** For CW_NEON_PROXY: where the driver finds it. */
  proxy: string;
  /** WebSockets that are open now. */
  open: () => number;
  stop: () => Promise<void>;
};

/** Bridges to the Postgres on a port of this machine, whatever address the driver names. */
export async function startNeonBridge(postgresPort: number): Promise<NeonBridge> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, path: '/v2' });
  await new Promise<void>((resolve) => server.on('listening', resolve));
  server.on('connection', (socket) => {
    const web = createWebSocketStream(socket);
    const tcp = connect(postgresPort, '127.0.0.1');
    web.pipe(tcp);
    tcp.pipe(web);
    // A side that breaks off takes the other with it: Postgres then ends the session.
    web.on('error', () => tcp.destroy());
    web.on('close', () => tcp.destroy());
    tcp.on('error', () => socket.terminate());
    tcp.on('close', () => socket.close());
  });
  return {
    proxy: `127.0.0.1:${(server.address() as AddressInfo).port}/v2`,
    open: () => server.clients.size,
    stop: async () => {
      for (const socket of server.clients) socket.terminate();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
