// counterweight launch: a job from a snapshot.

import { randomUUID } from 'node:crypto';
import { InvalidArgumentError } from 'commander';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { readDocument } from './rules.ts';
import { watchJob } from './watch.ts';
import { wholeOf } from './what-if.ts';

type Options = ServiceOptions & {
  snapshot: string;
  target: string;
  seed: number;
  reason: string;
  image?: string;
  settings?: string;
  set: Record<string, unknown>;
  dryRun?: boolean;
  watch?: boolean;
};

function setting(text: string, before: Record<string, unknown>): Record<string, unknown> {
  const parts = /^([A-Za-z]+)=(.+)$/.exec(text);
  if (parts === null) throw new InvalidArgumentError('settings are given as key=value');
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
    .option('--dry-run', 'show what the engine would be asked for')
    .option('--watch', 'stay until the job has ended')
    .action(async (options: Options) => {
      const { snapshot, target, seed, reason, image, dryRun } = options;
      const file = options.settings === undefined ? {} : (readDocument(options.settings) as object);
      const settings = { ...file, ...options.set };
      const client = clientOf(io, options);
      const body = JSON.stringify({ snapshot, target, seed, reason, image, dryRun, settings });
      const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
      const response = await client.send('POST', '/v1/jobs', { body, headers });
      const answer = (await response.json()) as { id: string; state: string };
      if (dryRun || options.json)
        io.out(JSON.stringify(answer, null, dryRun && !options.json ? 2 : 0));
      else io.say(`job ${answer.id} is ${answer.state}`);
      if (options.watch && !dryRun) await watchJob(io, client, answer.id);
    });
};
