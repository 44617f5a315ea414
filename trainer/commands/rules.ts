// counterweight rules check|add FILE; history and copy are in rule-versions.ts.

import { readDocument } from './files.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { ruleVersions } from './rule-versions.ts';

export const rules: AddCommand = (program, io) => {
  const group = program.command('rules').description('check and store rule sets');
  withService(group.command('check <file>'))
    .description('check a rule document against the attributes of a dataset')
    .requiredOption('--dataset <name>', 'the dataset')
    .action(async (file: string, options: ServiceOptions & { dataset: string }) => {
      const path = `/v1/datasets/${encodeURIComponent(options.dataset)}/rule-sets/check`;
      const client = clientOf(io, options);
      const body = { rules: readDocument(file) };
      const answer = await client.call<{ changes: string[] }>('POST', path, body);
      if (options.json) io.out(JSON.stringify(answer));
      else for (const line of ['the rules are sound', ...answer.changes]) io.say(line);
    });
  withService(group.command('add <file>'))
    .description('store a rule document as the next version of a rule set')
    .requiredOption('--dataset <name>', 'the dataset')
    .requiredOption('--name <name>', 'name of the rule set')
    .requiredOption('--reason <text>', 'why')
    .action(
      async (
        file: string,
        options: ServiceOptions & { dataset: string; name: string; reason: string },
      ) => {
        const path = `/v1/datasets/${encodeURIComponent(options.dataset)}/rule-sets`;
        const body = { name: options.name, rules: readDocument(file), reason: options.reason };
        const stored = await clientOf(io, options).create<{
          name: string;
          version: number;
          digest: string;
        }>(path, body);
        if (options.json) io.out(JSON.stringify(stored));
        else io.say(`${stored.name}@${stored.version} ${stored.digest}`);
      },
    );
  ruleVersions(group, io);
};
