// Many jobs at once on a service that may be killed at any moment: clients that ask until they are
// answered, and what must hold once all is quiet.

import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Job } from '../../api/contract/jobs.ts';
import { isAlive } from '../../api/launchers/local/processes.ts';
import { type Client, createClient } from '../../trainer/client.ts';
import { hasEnded } from '../../trainer/commands/watch.ts';
import { frozenSnapshot } from './builders.ts';
import { type KilledService, killedService } from './killed-service.ts';
import { sendingOver } from './sending.ts';

const trainer = fileURLToPath(new URL('../engines/fast-trainer.mjs', import.meta.url));

/** What a trainer noted in the file that all of them write: one line for each start. */
type Note = {
  job: string;
  pid: number;
  started?: true;
  finished?: true;
  reports?: number;
  refused?: string;
};

export type ManyJobs = {
  service: KilledService;
  client: Client;
  /** Launches so many jobs, eight requests in flight; answers the ids that the service named. */
  launch: (count: number) => Promise<string[]>;
  notes: () => Note[];
  /** From then on trainers finish: until then all of them live at once. */
  openGate: () => void;
  /** Waits until every job has ended; `withinMs` bounds it. */
  allEnded: (withinMs: number) => Promise<Job[]>;
  close: () => Promise<void>;
};

/** A service with one local target, whose trainer is `test/engines/fast-trainer.mjs`. */
export async function openManyJobs({
  database,
  pauseMs,
  target = {},
}: {
  database?: { service: string; owner: string };
  /** Between two reports of a trainer. */
  pauseMs: number;
  target?: Record<string, unknown>;
}): Promise<ManyJobs> {
  const service = await killedService({
    database,
    targets: (dataDir) => [
      {
        name: 'local',
        engine: 'local',
        dataPaths: { phantom: dataDir },
        command: [process.execPath, trainer],
        environment: {
          TRAINER_NOTES: join(dataDir, 'notes'),
          TRAINER_GATE: join(dataDir, 'gate'),
          TRAINER_PAUSE_MS: String(pauseMs),
        },
        ...target,
      },
    ],
  });
  const { dataDir, url: api, token } = service;
  service.start();
  await service.listening();
  const client = createClient({ api, token, fetch, sleep: (ms) => sleep(ms) });
  const snapshot = (await frozenSnapshot(sendingOver(client))).snapshot.digest;
  return {
    service,
    client,
    launch: (count) => launchAll(service, client, { count, snapshot }),
    notes: () => notesOf(join(dataDir, 'notes')),
    openGate: () => writeFileSync(join(dataDir, 'gate'), ''),
    allEnded: (withinMs) => allEnded(client, withinMs),
    close: async () => {
      await service.kill();
      for (const { pid } of livingProcesses(dataDir)) process.kill(pid, 'SIGKILL');
      await service.stop();
    },
  };
}

function notesOf(path: string): Note[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Note);
}

async function launchAll(
  service: KilledService,
  client: Client,
  { count, snapshot }: { count: number; snapshot: string },
): Promise<string[]> {
  const ids: string[] = [];
  let next = 0;
  const worker = async () => {
    while (next < count) {
      const k = next++;
      const settings = { epochs: 1, drawsPerEpoch: 8, batchSize: 2 };
      const reason = `one of many: ${k}`;
      const body = { snapshot, target: 'local', seed: k, settings, reason };
      ids[k] = await launchUntilAnswered(service, client, body);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  return ids;
}

// As the service's own refusal says: a request that was cut off is looked for, and sent again with
// a new key where it left nothing.
async function launchUntilAnswered(
  { url, token }: KilledService,
  client: Client,
  body: { reason: string },
): Promise<string> {
  for (let key = randomUUID(); ; ) {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'idempotency-key': key,
    };
    const init = { method: 'POST', headers, body: JSON.stringify(body) };
    try {
      const answer = await fetch(`${url}/v1/jobs`, init);
      const said = (await answer.json()) as { id: string; detail?: string };
      if (answer.status === 201) return said.id;
      if (answer.status !== 409) throw new Error(`${answer.status}: ${said.detail}`);
      const all = await client.askAll('GET /v1/jobs');
      const known = all.find(({ launchReason }) => launchReason === body.reason);
      if (known !== undefined) return known.id;
      key = randomUUID();
    } catch (cause) {
      if (!isAway(cause)) throw cause;
      await sleep(100);
    }
  }
}

// What fetch and the client say of a service that is not there, or is gone in the midst of a word.
function isAway(cause: unknown): boolean {
  return cause instanceof TypeError || /no service answers|terminated|JSON/.test(String(cause));
}

async function allEnded(client: Client, withinMs: number): Promise<Job[]> {
  for (const deadline = Date.now() + withinMs; ; await sleep(500)) {
    const jobs = await client.askAll('GET /v1/jobs');
    if (jobs.every(hasEnded)) return jobs;
    if (Date.now() < deadline) continue;
    const left = jobs.filter((job) => !hasEnded(job));
    throw new Error(`${left.length} jobs do not end, such as ${JSON.stringify(left[0])}`);
  }
}

/** The runners and trainers of a data folder that still live. */
export function livingProcesses(dataDir: string): { key: string; pid: number }[] {
  const folder = join(dataDir, 'launches');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap((key) =>
    ['runner.json', 'trainer.json'].flatMap((name) => {
      const path = join(folder, key, name);
      if (!existsSync(path)) return [];
      const one = JSON.parse(readFileSync(path, 'utf8'));
      return one !== null && isAlive(one) ? [{ key, pid: one.pid as number }] : [];
    }),
  );
}
