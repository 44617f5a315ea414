// counterweight launch: a job from a snapshot.

import { InvalidArgumentError } from 'commander';
import { readDocument } from './files.ts';
import { gateOf, type MetricGate } from './gate.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { secondsOf, watchJob } from './watch.ts';
import { wholeOf } from './what-if.ts';

type Options = ServiceOptions & {
  snapshot: string;
  target: string;
  seed: number;
  reason: string;
  image?: string;
  settings?: string;
  set: Record<string, unknown>;
  acceptWithdrawn?: boolean;
  dryRun?: boolean;
  watch?: boolean;
  timeout?: number;
  gate: MetricGate[];
};

function setting(text: string, before: Record<string, unknown>): Record<string, unknown> {
  const parts = /^([A-Za-z]+)=(.+)$/.exec(text);
  if (parts === null)
    throw new InvalidArgumentError('settings are given as key=value, as in epochs=20');
  const [, key, value] = parts;
  try {
    return { ...before, [key]: JSON.parse(value) };
  } catch {
    return { ...before, [key]: value };
  }
}

export const launch: AddCommand = (program, io) => {
  withService(program.command('launch'))
    .description('launch a job from a snapshot')
    .requiredOption('--snapshot <digest>', 'the snapshot, by digest or id')
    .option('--target <name>', 'the launch target', 'local')
    .option('--seed <number>', 'seed of the draws and the network', wholeOf, 1)
    .requiredOption('--reason <text>', 'why')
    .option('--image <image>', 'container image, for targets that run images')
    .option('--settings <file>', 'settings as JSON')
    .option('--set <key=value>', 'one setting; may be repeated', setting, {})
    .option('--accept-withdrawn', 'launch although the snapshot holds withdrawn cases')
    .option('--dry-run', 'show what the engine would be asked for')
    .option('--watch', 'stay until the job has ended')
    .option('--timeout <seconds>', 'with --watch: give up watching after this time', secondsOf)
    .option('--gate <figure>=<least>', 'with --watch: exit 4 where it is lower', gateOf, [])
    .action(async (options: Options) => {
      const { snapshot, target, seed, reason, image, acceptWithdrawn, dryRun } = options;
      const file = options.settings === undefined ? {} : (readDocument(options.settings) as object);
      const settings = { ...file, ...options.set };
      const client = clientOf(io, options);
      const body = { snapshot, target, seed, reason, image, acceptWithdrawn, dryRun, settings };
      const answer = await client.create<{ id: string; state: string }>('/v1/jobs', body);
      if (dryRun) return io.out(JSON.stringify(answer, null, options.json ? 0 : 2));
      io.say(`job ${answer.id} is ${answer.state}`);
      if (options.watch) await watchJob(io, client, answer.id, options);
      else if (options.json) io.out(JSON.stringify(answer));
    });
};
