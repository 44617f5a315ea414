// A thousand requests a second for twenty seconds against a real service, honest and hostile ones
// mixed, offered when they are due whether or not those before were answered: npm run test:hostile.

import { execFileSync } from 'node:child_process';
import { Agent, request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { killedService } from '../support/killed-service.ts';

const perSecond = Number(process.argv[2] ?? 1_000);
const seconds = Number(process.argv[3] ?? 20);
/** What the service may hold more afterwards than after it was warmed: caches, compiled code. */
const memoryFactor = 2;

type Shot = {
  method: string;
  path: string;
  token?: string;
  body?: string | Uint8Array;
  type?: string;
};
type Heard = { status: number; type: string; text: string; from: string };

const json = 'application/json';
const deep = '['.repeat(20_000) + ']'.repeat(20_000);
const bomb = gzipSync('0'.repeat(70 * 1024 * 1024));

/** Shot number k of the mix: six honest ones in ten, the rest of everything that is hostile. */
function shotOf(k: number, token: string): Shot {
  const dataset = { name: `load-${k}`, attributes: {} };
  const honest: Shot[] = [
    { method: 'GET', path: '/v1/datasets?limit=5', token },
    { method: 'GET', path: '/v1/datasets/load', token },
    { method: 'GET', path: '/health' },
    { method: 'GET', path: '/v1/audit/head', token },
    { method: 'GET', path: '/v1/jobs?limit=5', token },
    k % 50 === 5
      ? { method: 'POST', path: '/v1/datasets', token, body: JSON.stringify(dataset), type: json }
      : { method: 'GET', path: '/v1/targets', token },
  ];
  const hostile: Shot[] = [
    { method: 'GET', path: '/v1/datasets', token: `cw_guess_${k}` },
    { method: 'POST', path: '/v1/trainer/reports', token: `cw_guess_${k}`, body: '{}', type: json },
    { method: 'POST', path: '/v1/datasets', token, body: deep, type: json },
    { method: 'POST', path: '/v1/datasets', token, body: '{"name":', type: json },
    { method: 'GET', path: `/v1/datasets/${encodeURIComponent("' or 1=1 --")}`, token },
    { method: 'GET', path: '/v1/datasets/..%2f..%2fetc%2fpasswd' },
    { method: 'PATCH', path: '/v1/datasets', token },
    k % 2_000 === 16 // each takes a tenth of a second to unzip until it is refused
      ? {
          method: 'POST',
          path: '/v1/datasets/load/versions/1/cases',
          token,
          body: bomb,
          type: 'application/x-ndjson',
        }
      : { method: 'GET', path: `/v1/datasets?cursor=${'a'.repeat(3_000)}`, token },
  ];
  const [list, at] =
    k % 10 < 6 ? [honest, k % 10] : [hostile, Math.floor(k / 10) * 4 + (k % 10) - 6];
  return list[at % list.length];
}

const agent = new Agent({ keepAlive: true, maxSockets: 200 });

function send(url: string, { method, path, token, body, type }: Shot): Promise<Heard> {
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(type === undefined ? {} : { 'content-type': type }),
    ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
  };
  const from = `${method} ${path.slice(0, 60)}`;
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve({ status: 0, type: '', text: error.message, from });
    const sent = httpRequest(`${url}${path}`, { method, headers, agent }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('error', failed);
      answer.on('end', () => {
        const heardType = String(answer.headers['content-type'] ?? '');
        const text = Buffer.concat(pieces).toString();
        resolve({ status: answer.statusCode ?? 0, type: heardType, text, from });
      });
    });
    sent.on('error', failed);
    sent.end(body);
  });
}

/** Sends when due; how late the last ones were tells what rate was reached. */
async function shoot(url: string, token: string, { from, until }: { from: number; until: number }) {
  const heard: Promise<Heard>[] = [];
  const started = performance.now();
  for (let k = from; k < until; ) {
    const due = from + Math.floor(((performance.now() - started) / 1000) * perSecond);
    for (; k < Math.min(due, until); k++) heard.push(send(url, shotOf(k, token)));
    await new Promise((resolve) => setImmediate(resolve));
  }
  const sentIn = (performance.now() - started) / 1000;
  const answers = await Promise.all(heard);
  return { answers, sentIn, answeredIn: (performance.now() - started) / 1000 };
}

const kibibytes = (pid: number) =>
  Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim());

function faultOf({ status, type, text }: Heard): string | undefined {
  if (status === 0) return `no answer: ${text}`;
  if (status >= 500) return `answered ${status}: ${text.slice(0, 200)}`;
  if (/\n\s+at |node_modules|\binsert into\b|\bselect .* from\b/i.test(text))
    return `tells: ${text.slice(0, 200)}`;
  if (status >= 400 && type !== 'application/problem+json') return `answered ${status} as ${type}`;
  try {
    JSON.parse(text);
  } catch {
    return `no JSON: ${text.slice(0, 200)}`;
  }
  return undefined;
}

async function main(): Promise<boolean> {
  const service = await killedService({ targets: () => [] });
  service.start();
  await service.listening();
  const { url, token } = service;
  try {
    const make = (path: string, body: object) =>
      send(url, { method: 'POST', path, token, body: JSON.stringify(body), type: json });
    await make('/v1/datasets', { name: 'load', attributes: {} });
    await make('/v1/datasets/load/versions', { reason: 'load' });
    const total = perSecond * seconds;
    // A tenth beforehand: compiled code and caches are no leak.
    await shoot(url, token, { from: total, until: total + Math.ceil(total / 10) });
    const before = kibibytes(service.pid());
    const { answers, sentIn, answeredIn } = await shoot(url, token, { from: 0, until: total });
    const peak = kibibytes(service.pid());
    const health = await send(url, { method: 'GET', path: '/v1/audit/verify', token });
    const after = kibibytes(service.pid());
    const counts = new Map<number, number>();
    for (const { status } of answers) counts.set(status, (counts.get(status) ?? 0) + 1);
    const faults = [...answers, health].flatMap((answer) => {
      const fault = faultOf(answer);
      return fault === undefined ? [] : [`${answer.from}: ${fault}`];
    });
    const leaks = service.said.filter((line) => line.includes(token) || /cw_guess/.test(line));
    const grown = after / before;
    const mebi = (size: number) => `${Math.round(size / 1024)} MiB`;
    process.stdout.write(
      `${[
        `${answers.length} requests offered in ${sentIn.toFixed(1)} s: ${Math.round(answers.length / sentIn)} a second`,
        `answered in ${answeredIn.toFixed(1)} s: ${Math.round(answers.length / answeredIn)} a second`,
        `statuses ${JSON.stringify(Object.fromEntries([...counts].sort()))}`,
        `memory ${mebi(before)} warmed, ${mebi(peak)} at the end, ${mebi(after)} afterwards (at most ${memoryFactor} times as much)`,
        `audit/verify afterwards ${health.status}, ${service.said.length} warnings and errors`,
        ...faults.slice(0, 10).map((fault) => `FAULT ${fault}`),
        ...leaks.slice(0, 3).map((line) => `LEAK ${line}`),
        ...service.said.slice(0, 3).map((line) => `SAID ${line.slice(0, 300)}`),
      ].join('\n')}\n`,
    );
    const well = faults.length === 0 && leaks.length === 0 && health.status === 200;
    return well && service.said.length === 0 && grown <= memoryFactor;
  } finally {
    agent.destroy();
    await service.stop();
  }
}

process.exitCode = (await main()) ? 0 : 1;
