// A receiver on the loopback address, over HTTP, that keeps what it was sent as it came.

import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Request = { path: string; headers: IncomingHttpHeaders; body: string };

export type Receiver = {
  port: number;
  requests: Request[];
  /** How it answers from now on; undefined: not at all. */
  answerWith: (answer: ((response: ServerResponse) => void) | undefined) => void;
  close: () => Promise<void>;
};

export async function openReceiver(): Promise<Receiver> {
  const requests: Request[] = [];
  let answer: ((response: ServerResponse) => void) | undefined = (response) =>
    response.writeHead(204).end();
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    requests.push({ path: request.url ?? '', headers: request.headers, body });
    answer?.(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    answerWith: (next) => {
      answer = next;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
