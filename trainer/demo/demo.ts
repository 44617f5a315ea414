// The demo: from a folder of images to two trained, verified jobs, step by step as a person would.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Client, createClient, failure } from '../client.ts';
import { type Io, progress } from '../commands/io.ts';
import { pushFolder } from '../commands/push.ts';
import { readDocument } from '../commands/rules.ts';
import { exportSnapshot, type FrozenSnapshot } from '../commands/snapshot.ts';
import { replay, type SnapshotFile } from '../commands/verify.ts';
import { hasEnded, type Job, jobSentence } from '../commands/watch.ts';
import { whatIfText } from '../commands/what-if.ts';
import { readRawDataset } from '../nnunet-raw.ts';
import { writePhantomDataset } from '../phantom.ts';
import type { CaseLine } from '../scan/measure.ts';
import { allProven, type DemoReport, demoJob, type Finished, reportText } from './report.ts';
import { type Rules, uniformRules, weightedRules } from './rules.ts';
import { type DemoService, startService } from './service.ts';

export type DemoOptions = {
  data?: string;
  exit?: boolean;
  json?: string;
  steps?: number;
  epochs: number;
  backend: string;
  seed: number;
  port: number;
};

const batchSize = 2;
const split = 'five-fold';

/** Runs the demo; true when both jobs succeeded and every epoch of draws was verified. */
export async function runDemo(io: Io, options: DemoOptions): Promise<boolean> {
  const startedAt = performance.now();
  const work = mkdtempSync(join(tmpdir(), 'counterweight-demo-'));
  const data = options.data === undefined ? await makePhantom(io, work) : resolve(options.data);
  const { name } = readRawDataset(data);
  io.say('starting the service on embedded Postgres ...');
  const target = {
    name: 'local',
    engine: 'local',
    dataPaths: { [name]: data },
    outputPath: join(work, 'outputs'),
  };
  const dataDir = join(work, 'service');
  const service = await startService({
    dataDir,
    port: options.port,
    targets: [target],
    say: io.say,
  });
  try {
    io.say(`service ${service.url}, reference ${service.url}/docs`);
    const report = await trainBoth(io, service, { data, options, work, startedAt });
    io.say('');
    io.out(reportText(report));
    if (options.json !== undefined)
      writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
    io.say(`\nsnapshots, checkpoints and logs of this demo: ${work}`);
    if (!options.exit) await stayOpen(io, service);
    return allProven(report, options.epochs);
  } finally {
    await service.stop();
  }
}

async function makePhantom(io: Io, work: string): Promise<string> {
  io.say('no --data given: making a phantom dataset with a rare lesion class');
  return await writePhantomDataset(join(work, 'Dataset001_Phantom'));
}

type Run = { data: string; options: DemoOptions; work: string; startedAt: number };

async function trainBoth(io: Io, service: DemoService, run: Run): Promise<DemoReport> {
  const { options } = run;
  const client = createClient({
    api: service.url,
    token: service.token,
    fetch: io.fetch,
    sleep: io.sleep,
  });
  const reason = 'demo';
  const pushed = await pushFolder(io, client, run.data, { reason, split });
  io.say(`pushed ${pushed.caseCount} cases as version ${pushed.version}, ${pushed.digest}`);
  const path = `/v1/datasets/${encodeURIComponent(pushed.dataset)}`;
  const lines = await trainingLines(client, `${path}/versions/${pushed.version}/cases`);
  const arms: [string, Rules][] = [
    ['uniform', uniformRules(lines)],
    ['weighted and corrected', weightedRules(lines)],
  ];
  const jobs: { name: string; id: string; frozen: FrozenSnapshot }[] = [];
  for (const [name, rules] of arms) {
    const frozen = await freeze(io, client, { path, version: pushed.version, name, rules });
    const job = await client.call<Job>('POST', '/v1/jobs', {
      snapshot: frozen.digest,
      target: 'local',
      seed: options.seed,
      settings: settingsOf(options),
      reason: `${reason}: ${name}`,
    });
    jobs.push({ name, id: job.id, frozen });
  }
  const ended = await followAll(
    io,
    client,
    jobs.map(({ id }) => id),
  );
  const finished = jobs.map(({ name, frozen }, k): Finished => {
    const { digest, diagnostics } = frozen;
    return { name, job: ended[k], digest, effectiveFraction: diagnostics.effectiveFraction };
  });
  for (const { job } of finished) io.say(jobSentence(job));
  for (const { frozen, name } of jobs) await replayOffline(io, client, { frozen, name, run });
  const backend = String(finished[0].job.summary?.backend ?? options.backend);
  const seconds = (performance.now() - run.startedAt) / 1000;
  return { seconds, backend, jobs: finished.map(demoJob) };
}

async function trainingLines(client: Client, path: string): Promise<CaseLine[]> {
  const response = await client.send('GET', path, { headers: { accept: 'application/x-ndjson' } });
  return (await response.text())
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as CaseLine);
}

async function freeze(
  io: Io,
  client: Client,
  { path, version, name, rules }: { path: string; version: number; name: string; rules: Rules },
): Promise<FrozenSnapshot> {
  const ruleSet = name.replaceAll(' ', '-');
  const stored = await client.call<{ name: string; version: number }>('POST', `${path}/rule-sets`, {
    name: ruleSet,
    rules,
    reason: 'demo',
  });
  const body = { version, split, fold: 0, ruleSet: `${stored.name}@${stored.version}` };
  const frozen = await client.call<FrozenSnapshot>('POST', `${path}/snapshots`, {
    ...body,
    reason: `demo: ${name}`,
  });
  io.say(
    `\n${name}: ${JSON.stringify((rules as { sampling?: { terms: object[] } }).sampling?.terms ?? [])}`,
  );
  io.say(whatIfText(frozen));
  io.say(`snapshot ${frozen.digest}`);
  return frozen;
}

// A step budget as epochs: each has the same number of whole batches.
function settingsOf({ steps = 300, epochs, backend }: DemoOptions): Record<string, unknown> {
  const stepsPerEpoch = Math.max(1, Math.round(steps / epochs));
  return {
    epochs,
    drawsPerEpoch: stepsPerEpoch * batchSize,
    batchSize,
    learningRate: 4e-3,
    validateEvery: epochs,
    backend,
  };
}

async function followAll(io: Io, client: Client, ids: string[]): Promise<Job[]> {
  const read = () => Promise.all(ids.map((id) => client.call<Job>('GET', `/v1/jobs/${id}`)));
  const stop = stopSignal();
  let jobs = await read();
  const { epochs, drawsPerEpoch } = jobs[0].settings;
  const bar = progress(io, 'training', (ids.length * epochs * drawsPerEpoch) / batchSize);
  while (!jobs.every(hasEnded)) {
    if (stop.asked()) await cancelAll(io, client, jobs);
    await io.sleep(1_000);
    jobs = await read();
    const done = jobs.reduce((sum, job) => sum + (job.progress?.step ?? 0), 0);
    bar.update(done, jobs.map(({ state, progress: at }) => `${state} ${at?.step ?? 0}`).join(', '));
  }
  bar.stop();
  stop.end();
  if (jobs.some(({ state }) => state === 'cancelled')) throw failure('stopped; both jobs ended');
  return jobs;
}

// Trainers outlive the service on purpose, so whoever stops the demo must have them cancelled.
async function cancelAll(io: Io, client: Client, jobs: Job[]): Promise<void> {
  for (const { id, state } of jobs.filter((job) => !hasEnded(job))) {
    if (state === 'cancelling') continue;
    io.say(`cancelling job ${id} ...`);
    await client.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'the demo was stopped' });
  }
}

function stopSignal(): { asked: () => boolean; end: () => void } {
  let asked = false;
  const hear = () => {
    asked = true;
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, hear);
  return {
    asked: () => asked,
    end: () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, hear);
    },
  };
}

// The last link of the chain: nothing of the service's own word is used here but the stream itself.
async function replayOffline(
  io: Io,
  client: Client,
  { frozen, name, run }: { frozen: FrozenSnapshot; name: string; run: Run },
): Promise<void> {
  const file = join(run.work, `${name.replaceAll(' ', '-')}.json`);
  await exportSnapshot(client, frozen.digest, file);
  const { seed } = run.options;
  const { drawsPerEpoch: draws } = settingsOf(run.options) as { drawsPerEpoch: number };
  const { ledger } = replay(readDocument(file) as SnapshotFile, { seed, epoch: 0, draws });
  const path = `/v1/snapshots/${frozen.digest}/draws?seed=${seed}&epoch=0&draws=${draws}`;
  const response = await client.send('GET', path);
  const said = response.headers.get('counterweight-ledger-digest');
  if (said !== ledger)
    throw failure(
      `${name}: offline the first epoch's draws give ${ledger}, the service says ${said}`,
    );
  io.say(`${name}: digest and first epoch's draws hold offline (${file})`);
}

async function stayOpen(io: Io, { url, token }: DemoService): Promise<void> {
  io.say(`\nThe service stays open at ${url} (reference ${url}/docs); Ctrl-C ends it.`);
  io.say(`  export CW_API=${url} CW_TOKEN=${token}`);
  await new Promise<void>((done) => {
    process.once('SIGINT', () => done());
    process.once('SIGTERM', () => done());
  });
}
