// A listener of its own for Prometheus, by default on the loopback address only: it asks for no
// token, so it never stands on the port that others reach.

import { createServer, type Server } from 'node:http';
import type { Metrics } from './metrics.ts';

/** Listens at once; `close` ends it with all its connections. */
export async function listenForMetrics(
  metrics: Pick<Metrics, 'text' | 'contentType'>,
  { host, port }: { host: string; port: number },
): Promise<{ server: Server; close: () => void }> {
  const server = createServer((request, response) => {
    const path = request.url?.replace(/\?.*$/, '');
    if (path !== '/metrics' || !['GET', 'HEAD'].includes(request.method ?? '')) {
      const status = path === '/metrics' ? 405 : 404;
      response.writeHead(status, { 'content-type': 'text/plain' }).end('GET /metrics\n');
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
      () => response.writeHead(500, { 'content-type': 'text/plain' }).end('no numbers\n'),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { server, close };
}
