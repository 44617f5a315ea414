// A proxy between the service and an engine, so that a test can act at the very moment between a
// request and its answer, and let an engine say what it would say of a lost node.

import {
  createServer,
  type IncomingMessage,
  type RequestOptions,
  type ServerResponse,
  request as send,
} from 'node:http';

export type Rule = {
  /** Which requests, by `METHOD /path`. */
  on: RegExp;
  /** Before the engine sees it; false: it never does, and the service gets no answer. */
  before?: () => Promise<boolean>;
  /** What the service is answered instead; null: nothing, the connection is cut. */
  after?: (text: string) => Promise<string | null>;
};

export type Meddler = {
  /** Rules that hold from now on. */
  rules: Rule[];
  close: () => void;
};

/** Listens on a socket or a port of the loopback address, and passes on to an engine. */
export async function startMeddler({
  listen,
  engine,
}: {
  listen: string | number;
  engine: RequestOptions;
}): Promise<Meddler> {
  const meddler: Meddler = { rules: [], close: () => server.close() };
  const server = createServer((request, response) => {
    pass(meddler, engine, { request, response }).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) =>
    typeof listen === 'string'
      ? server.listen(listen, resolve)
      : server.listen(listen, '127.0.0.1', resolve),
  );
  return meddler;
}

async function pass(
  { rules }: Meddler,
  engine: RequestOptions,
  { request, response }: { request: IncomingMessage; response: ServerResponse },
): Promise<void> {
  const { method, url, headers } = request;
  const rule = rules.find(({ on }) => on.test(`${method} ${url}`));
  const body = await bytesOf(request);
  if (rule?.before !== undefined && !(await rule.before())) {
    response.destroy();
    return;
  }
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    const onward = send({ ...engine, method, path: url, headers }, resolve);
    onward.on('error', reject);
    onward.end(body);
  });
  const bytes = await bytesOf(answer);
  const { statusCode = 502, headers: told } = answer;
  const { 'transfer-encoding': _, 'content-length': __, ...rest } = told;
  const said = rule?.after === undefined ? bytes : await rule.after(bytes.toString());
  if (said === null) response.destroy();
  else response.writeHead(statusCode, rest).end(said);
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
