// Clients that send one request after another over sockets of their own, and what each request
// took. Plain node:http, so that the generator is cheap and the same for ours and a peer.

import { Agent, request } from 'node:http';

export type Sent = { url: string; method: string; headers: Record<string, string>; body?: string };

export type LoadOptions = {
  clients: number;
  seconds: number;
  /** A socket for each request, where a server stalls on sockets that are kept. */
  newConnections?: boolean;
  /** The next request of a client. */
  next: (client: number) => Sent;
};

/** Requests a second, and milliseconds of the median and of the 95th of a hundred. */
export type Load = { requests: number; perSecond: number; p50Ms: number; p95Ms: number };

/** Sends one request and reads its answer to the end; throws where it is no success. */
export async function sendOne({ url, ...sent }: Sent, agent: Agent): Promise<string> {
  return await new Promise((resolve, reject) => {
    const headers = { ...sent.headers, 'content-length': Buffer.byteLength(sent.body ?? '') };
    const asked = request(url, { method: sent.method, headers, agent }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('error', reject);
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (answer.statusCode !== undefined && answer.statusCode < 300) resolve(text);
        else reject(new Error(`${sent.method} ${url}: ${answer.statusCode} ${text.slice(0, 500)}`));
      });
    });
    asked.on('error', reject);
    asked.end(sent.body);
  });
}

/** Loads a server for so many seconds, after a tenth of them that are not counted. */
export async function load(options: LoadOptions): Promise<Load> {
  const { clients, seconds, newConnections = false, next } = options;
  const startedAt = performance.now();
  const countedFrom = startedAt + seconds * 100;
  const until = countedFrom + seconds * 1000;
  const took: number[] = [];
  const client = async (number: number) => {
    const agent = new Agent({ keepAlive: !newConnections, maxSockets: 1 });
    while (performance.now() < until) {
      const sent = next(number);
      const from = performance.now();
      await sendOne(sent, agent);
      if (from >= countedFrom) took.push(performance.now() - from);
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  const counted = (performance.now() - countedFrom) / 1000;
  return { requests: took.length, perSecond: took.length / counted, ...percentiles(took) };
}

/** Milliseconds of `repeats` requests one after another. */
export async function timeEach(sent: Sent, repeats: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const took: number[] = [];
  for (let k = 0; k < repeats; k++) {
    const from = performance.now();
    await sendOne(sent, agent);
    took.push(performance.now() - from);
  }
  agent.destroy();
  return took;
}

export function percentiles(values: number[]): { p50Ms: number; p95Ms: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { p50Ms: at(0.5), p95Ms: at(0.95) };
}
