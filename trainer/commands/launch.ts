// counterweight launch: a job from a snapshot, or one for each fold of an alias.

import { InvalidArgumentError } from 'commander';
import type { MetricGate } from '../../api/contract/gates.ts';
import type { JobBatch } from '../../api/contract/jobs.ts';
import { type Client, exitCodes, failure } from '../client.ts';
import { readDocument } from './files.ts';
import { gateOf } from './gate.ts';
import { type AddCommand, clientOf, type Io, type ServiceOptions, withService } from './io.ts';
import { type GivenResources, pairOf, resourceOf, resourcesOf } from './resources.ts';
import { secondsOf, standsAt, watchJob, watchJobs } from './watch.ts';
import { type Fold, foldsOf, wholeOf } from './what-if.ts';

type Options = ServiceOptions & {
  snapshot?: string;
  alias?: AliasName;
  folds?: Fold[];
  target: string;
  seed: number;
  reason: string;
  image?: string;
  settings?: string;
  set: Record<string, unknown>;
  resource: GivenResources;
  acceptWithdrawn?: boolean;
  dryRun?: boolean;
  watch?: boolean;
  timeout?: number;
  gate: MetricGate[];
};

function setting(text: string, before: Record<string, unknown>): Record<string, unknown> {
  const [key, value] = pairOf(text, 'settings are given as key=value, as in epochs=20');
  return { ...before, [key]: value };
}

type AliasName = { dataset: string; alias: string };

function aliasNameOf(text: string): AliasName {
  const [, dataset, alias] = /^([^@]+)@([^@:]+)$/.exec(text) ?? [];
  if (alias !== undefined) return { dataset, alias };
  throw new InvalidArgumentError('an alias is given as DATASET@ALIAS; --folds names its folds');
}

export const launch: AddCommand = (program, io) => {
  withService(program.command('launch'))
    .description('launch a job from a snapshot, or one for each fold of an alias')
    .option('--snapshot <snapshot>', 'by digest, id, or DATASET@ALIAS:FOLD')
    .option('--alias <dataset@alias>', 'a job for each fold of this alias', aliasNameOf)
    .option('--folds <list>', 'with --alias: some of its folds, as 0,1,2', foldsOf)
    .option('--target <name>', 'the launch target', 'local')
    .option('--seed <number>', 'seed of the draws and the network', wholeOf, 1)
    .requiredOption('--reason <text>', 'why')
    .option('--image <image>', 'container image, for targets that run images')
    .option('--settings <file>', 'settings as JSON')
    .option('--set <key=value>', 'one setting; may be repeated', setting, {})
    .option('--resource <key=value>', 'gpus=1, gpuType=h200, ...; may be repeated', resourceOf, {})
    .option('--accept-withdrawn', 'launch although the snapshot holds withdrawn cases')
    .option('--dry-run', 'show what the engine would be asked for')
    .option('--watch', 'stay until the job has ended')
    .option('--timeout <seconds>', 'with --watch: give up watching after this time', secondsOf)
    .option('--gate <figure>=<least>', 'with --watch: exit 4 where it is lower', gateOf, [])
    .action(async (options: Options) => {
      const { snapshot, alias, folds, target, seed, reason, image, dryRun } = options;
      requireOneOf(options);
      const file = options.settings === undefined ? {} : (readDocument(options.settings) as object);
      const settings = { ...file, ...options.set };
      const client = clientOf(io, options);
      const { acceptWithdrawn } = options;
      const resources = resourcesOf(options.resource);
      const rest = { target, seed, reason, image, acceptWithdrawn, dryRun, settings, resources };
      const body = alias === undefined ? { snapshot, ...rest } : { ...alias, folds, ...rest };
      const answer = await client.ask('POST /v1/jobs', { body, key: client.newKey() });
      if (!('state' in answer) && !('batch' in answer))
        return io.out(JSON.stringify(answer, null, options.json ? 0 : 2));
      if ('items' in answer) return showBatch(io, client, answer, options);
      io.say(`job ${answer.id} is ${standsAt(answer)}`);
      if (options.watch) await watchJob(io, client, answer.id, options);
      else if (options.json) io.out(JSON.stringify(answer));
    });
};

function requireOneOf({ snapshot, alias, folds }: Options): void {
  if ((snapshot === undefined) === (alias === undefined)) {
    throw failure('give either --snapshot or --alias', exitCodes.usage);
  }
  if (folds !== undefined && alias === undefined) {
    throw failure('--folds goes with --alias', exitCodes.usage);
  }
}

async function showBatch(
  io: Io,
  client: Client,
  answer: JobBatch,
  options: Options,
): Promise<void> {
  const { batch, items } = answer;
  for (const job of items) {
    io.say(`fold ${job.snapshot.fold}: job ${job.id} is ${standsAt(job)}`);
  }
  const named = items.map(({ id, snapshot }) => ({ id, name: `fold ${snapshot.fold}` }));
  const jobs = options.watch ? await watchJobs(io, client, named, options) : items;
  if (options.json) io.out(JSON.stringify({ batch, items: jobs }));
}
