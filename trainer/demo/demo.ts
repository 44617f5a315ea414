// The demo: from a folder of images to two trained, verified jobs, step by step as a person would.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Client, createClient, failure } from '../client.ts';
import type { Io } from '../commands/io.ts';
import { type Pushed, pushFolder } from '../commands/push.ts';
import type { FrozenSnapshot } from '../commands/snapshot.ts';
import { followJobs, type Job, jobSentence } from '../commands/watch.ts';
import { type WhatIf, whatIfText } from '../commands/what-if.ts';
import { readRawDataset } from '../nnunet-raw.ts';
import { writePhantomDataset } from '../phantom.ts';
import type { CaseLine } from '../scan/measure.ts';
import { replayOffline } from './proof.ts';
import { allProven, type DemoReport, demoJob, reportText } from './report.ts';
import { type Rules, rulesText, uniformRules, weightedRules } from './rules.ts';
import { type DemoService, startService } from './service.ts';
import { endAll, stopped, stopRequest, unlessStopped } from './stopping.ts';

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
const fold = 0;

type Run = {
  io: Io;
  client: Client;
  data: string;
  work: string;
  options: DemoOptions;
  /** Launches so far, the last one perhaps still on its way: a stop must wait for it. */
  launching: Promise<string>[];
  stopping: boolean;
  faults: string[];
};

/**
 * Runs the demo: `proven` when both jobs succeeded and every epoch of draws was verified, here and
 * by the service; `stopped` when a signal ended it.
 */
export async function runDemo(
  io: Io,
  options: DemoOptions,
): Promise<'proven' | 'unproven' | 'stopped'> {
  const startedAt = performance.now();
  const stop = stopRequest(process);
  const work = mkdtempSync(join(tmpdir(), 'counterweight-demo-'));
  try {
    const data = options.data === undefined ? await makePhantom(io, work) : resolve(options.data);
    const service = await openService(io, { data, work, port: options.port });
    const client = createClient({
      api: service.url,
      token: service.token,
      fetch: io.fetch,
      sleep: io.sleep,
    });
    const run: Run = {
      io,
      client,
      data,
      work,
      options,
      launching: [],
      stopping: false,
      faults: [],
    };
    try {
      const trained = await unlessStopped(stop, trainBoth(run));
      if (trained === stopped) return 'stopped';
      const report = { seconds: (performance.now() - startedAt) / 1000, ...trained };
      const proven = conclude(run, report);
      if (!options.exit) {
        sayOpen(io, service);
        await stop.asked;
      }
      return proven ? 'proven' : 'unproven';
    } finally {
      run.stopping = true;
      io.say('ending the service ...');
      await endAll({ client, service, launching: run.launching }, io);
    }
  } finally {
    stop.forget();
  }
}

async function makePhantom(io: Io, work: string): Promise<string> {
  io.say('no --data given: making a phantom dataset with a rare lesion class');
  return await writePhantomDataset(join(work, 'Dataset001_Phantom'));
}

async function openService(
  io: Io,
  { data, work, port }: { data: string; work: string; port: number },
): Promise<DemoService> {
  const { name } = readRawDataset(data);
  io.say('starting the service on embedded Postgres ...');
  const outputPath = join(work, 'outputs');
  const targets = [{ name: 'local', engine: 'local', dataPaths: { [name]: data }, outputPath }];
  const service = await startService({
    dataDir: join(work, 'service'),
    port,
    targets,
    say: io.say,
  });
  io.say(`service ${service.url}, reference ${service.url}/docs`);
  return service;
}

type Arm = { name: string; id: string; frozen: FrozenSnapshot };

async function trainBoth(run: Run): Promise<Omit<DemoReport, 'seconds'>> {
  const { io, client } = run;
  const pushed = await pushFolder(io, client, run.data, { reason: 'demo', split });
  io.say(`pushed ${pushed.caseCount} cases as version ${pushed.version}, ${pushed.digest}`);
  const lines = await measuredLines(client, pushed);
  const arms: Arm[] = [];
  for (const [name, rules] of [
    ['uniform', uniformRules(lines)],
    ['weighted and corrected', weightedRules(lines)],
  ] as [string, Rules][]) {
    const frozen = await freeze(run, { pushed, name, rules });
    arms.push({ name, frozen, id: await launch(run, { name, digest: frozen.digest }) });
  }
  io.say('\ntraining both at once; validation comes with the last step');
  const ended = await followJobs(io, client, arms);
  if (run.stopping) throw wasStopped();
  const jobs = [];
  for (const [k, { name, frozen }] of arms.entries()) {
    const { digest, diagnostics } = frozen;
    await prove(run, { name, digest, job: ended[k] });
    const { effectiveFraction } = diagnostics;
    jobs.push(demoJob({ name, job: ended[k], digest, effectiveFraction }));
  }
  const backend = String(ended[0].summary?.backend ?? run.options.backend);
  return { backend, jobs };
}

// The rules are chosen from what was measured, as the service stored it.
async function measuredLines(client: Client, { dataset, version }: Pushed): Promise<CaseLine[]> {
  const path = `/v1/datasets/${encodeURIComponent(dataset)}/versions/${version}/cases`;
  const response = await client.send('GET', path, { headers: { accept: 'application/x-ndjson' } });
  const text = await response.text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as CaseLine);
}

async function freeze(
  { io, client }: Run,
  { pushed, name, rules }: { pushed: Pushed; name: string; rules: Rules },
): Promise<FrozenSnapshot> {
  const path = `/v1/datasets/${encodeURIComponent(pushed.dataset)}`;
  const at = { version: pushed.version, split, fold };
  const named = { name: name.replaceAll(' ', '-'), rules, reason: 'demo' };
  const { name: set, version } = await client.create<{ name: string; version: number }>(
    `${path}/rule-sets`,
    named,
  );
  const ruleSet = `${set}@${version}`;
  io.say(`\n${ruleSet}\n${rulesText(rules)}`);
  const whatIf = await client.call<WhatIf>('POST', `${path}/what-if`, { ...at, ruleSet });
  io.say(whatIfText(whatIf));
  const body = { ...at, ruleSet, reason: `demo: ${name}` };
  const frozen = await client.create<FrozenSnapshot>(`${path}/snapshots`, body);
  io.say(`frozen: snapshot ${frozen.digest}`);
  return frozen;
}

async function launch(
  { client, options, launching, stopping }: Run,
  { name, digest }: { name: string; digest: string },
): Promise<string> {
  if (stopping) throw wasStopped();
  const body = {
    snapshot: digest,
    target: 'local',
    seed: options.seed,
    settings: settingsOf(options),
    reason: `demo: ${name}`,
  };
  const id = client.create<Job>('/v1/jobs', body).then((job) => job.id);
  launching.push(id);
  return await id;
}

/** A step budget as epochs: each has the same number of whole batches. */
export function settingsOf({
  steps = 300,
  epochs,
  backend,
}: Pick<DemoOptions, 'steps' | 'epochs' | 'backend'>) {
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

// Nobody waits for what throws this: the demo has gone on to its end.
const wasStopped = () => failure('the demo was stopped');

async function prove(
  { io, client, work, faults }: Run,
  { name, job, digest }: { name: string; job: Job; digest: string },
): Promise<void> {
  io.say(jobSentence(job));
  const file = join(work, `${name.replaceAll(' ', '-')}.json`);
  const proof = await replayOffline(client, { job, digest, file });
  faults.push(...proof.faults.map((fault) => `${name}: ${fault}`));
  io.say(`  replayed from the streamed snapshot: ${proof.replayed} epochs agree (${file})`);
}

function conclude({ io, work, options, faults }: Run, report: DemoReport): boolean {
  io.say('');
  io.out(reportText(report));
  io.say(
    'Draws are weighted, the loss is corrected: the objective is the same in both. At so small a budget',
  );
  io.say('neither promises a higher Dice; trainer/demo/README.md says what to expect.');
  for (const fault of faults) io.say(fault);
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
  io.say(`\nsnapshots, checkpoints and logs of this demo: ${work}`);
  return allProven(report, options.epochs) && faults.length === 0;
}

function sayOpen(io: Io, { url, token }: DemoService): void {
  io.say(`\nThe service stays open at ${url} (reference ${url}/docs); Ctrl-C ends it.`);
  io.say(`  export CW_API=${url} CW_TOKEN=${token}     lets every other command talk to it`);
}
