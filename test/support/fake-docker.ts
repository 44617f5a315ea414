// An engine that speaks Docker's API over a unix socket, from memory: containers exist, start and
// end as a test says. What it answers is what podman 4.3 was seen to answer.

import { mkdtempSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Container = {
  body: any;
  status: string;
  exitCode: number;
  oomKilled: boolean;
  signals: string[];
};

export type FakeDocker = {
  socket: string;
  containers: Map<string, Container>;
  /** Method and path of each request. */
  asked: string[];
  /** What the next matching requests are answered instead, by `METHOD /path-begin`. */
  instead: Map<string, { status: number; body: unknown } | 'hang up'>;
  /** Drops GPU requests as podman 4.3 does. */
  dropsGpus: boolean;
  stop: () => Promise<void>;
};

async function bodyOf(request: IncomingMessage): Promise<any> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  return text === '' ? undefined : JSON.parse(text);
}

export async function startFakeDocker(): Promise<FakeDocker> {
  const socket = join(mkdtempSync(join(tmpdir(), 'counterweight-docker-')), 'engine.sock');
  const server = createServer(async (request, response) => {
    const body = await bodyOf(request);
    const asked = `${request.method} ${request.url}`;
    fake.asked.push(asked);
    const instead = [...fake.instead].find(([begin]) => asked.startsWith(begin))?.[1];
    if (instead === 'hang up') return void request.socket.destroy();
    const answer = instead ?? answerOf(fake, asked, body);
    response.writeHead(answer.status, {
      'content-type': typeof answer.body === 'string' ? 'text/plain' : 'application/json',
    });
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
    response.end(answer.status === 204 || answer.status === 304 ? undefined : text, 'latin1');
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const fake: FakeDocker = {
    socket,
    containers: new Map(),
    asked: [],
    instead: new Map(),
    dropsGpus: false,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return fake;
}

const gone = { status: 404, body: { message: 'no such container' } };
const done = { status: 204, body: null };

function answerOf(fake: FakeDocker, asked: string, body: any): { status: number; body: unknown } {
  const url = new URL(asked.split(' ')[1], 'http://engine');
  const [, kind, name, verb] = url.pathname.split('/');
  if (kind === 'version') return { status: 200, body: { Version: '4.3.1' } };
  if (kind === 'info') return { status: 200, body: { Runtimes: {} } };
  if (kind === 'images') {
    return url.pathname.includes('absent') ? gone : { status: 200, body: { Id: 'sha256:1' } };
  }
  if (name === 'create') return created(fake, url.searchParams.get('name') as string, body);
  if (name === 'json') return { status: 200, body: listed(fake) };
  const container = fake.containers.get(name);
  if (container === undefined) return gone;
  if (asked.startsWith('DELETE')) {
    fake.containers.delete(name);
    return { status: 200, body: [] };
  }
  if (verb === 'json') return { status: 200, body: inspected(container) };
  if (verb === 'logs') return { status: 200, body: frame('last words\n') };
  if (verb === 'start') return started(container);
  return killed(container, url.searchParams.get('signal') as string);
}

function created(fake: FakeDocker, name: string, body: any) {
  if (fake.containers.has(name)) {
    return { status: 500, body: { message: `the container name "${name}" is already in use` } };
  }
  if (body.Image.includes('absent')) {
    return { status: 404, body: { message: `No such image: ${body.Image}` } };
  }
  if (fake.dropsGpus) body.HostConfig.DeviceRequests = null;
  const container = { body, status: 'created', exitCode: 0, oomKilled: false, signals: [] };
  fake.containers.set(name, container);
  return { status: 201, body: { Id: 'f00', Warnings: [] } };
}

const listed = (fake: FakeDocker) =>
  [...fake.containers].map(([name, { status }]) => ({ Names: [`/${name}`], State: status }));

function inspected({ body, status, exitCode, oomKilled }: Container) {
  return {
    State: {
      Status: status,
      Running: status === 'running',
      ExitCode: exitCode,
      OOMKilled: oomKilled,
    },
    Config: { Labels: body.Labels },
    HostConfig: body.HostConfig,
  };
}

function started(container: Container) {
  if (container.status === 'running') return { status: 304, body: null };
  container.status = 'running';
  return done;
}

function killed(container: Container, signal: string) {
  if (container.status !== 'running') {
    return { status: 500, body: { message: 'can only kill running containers' } };
  }
  container.signals.push(signal);
  if (signal === 'SIGKILL') Object.assign(container, { status: 'exited', exitCode: 137 });
  return done;
}

/** Output as the engine frames it: stream 1, its length, its bytes. */
function frame(text: string): string {
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]).toString('latin1');
}
