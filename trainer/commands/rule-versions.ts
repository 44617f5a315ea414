// counterweight rules history|copy: what each version of a rule set changed, and copies of rule
// sets between datasets.

import type { Command } from 'commander';
import type { CopiedRuleSet, RuleSetVersion } from '../../api/contract/rule-sets.ts';
import { clientOf, type Io, type ServiceOptions, withService } from './io.ts';

type Page = { items: RuleSetVersion[]; nextCursor: string | null };

/** Adds the two commands to the group `rules`. */
export function ruleVersions(group: Command, io: Io): void {
  withService(group.command('history <name>'))
    .description('the versions of a rule set, newest first, each with its diff')
    .requiredOption('--dataset <name>', 'the dataset')
    .action(async (name: string, options: ServiceOptions & { dataset: string }) => {
      const path = `${pathOf(options.dataset)}/${encodeURIComponent(name)}/history`;
      const client = clientOf(io, options);
      const versions: RuleSetVersion[] = [];
      let query = '?limit=500';
      while (true) {
        const { items, nextCursor } = await client.call<Page>('GET', `${path}${query}`);
        versions.push(...items);
        if (nextCursor === null) break;
        query = `?limit=500&cursor=${encodeURIComponent(nextCursor)}`;
      }
      if (options.json) io.out(JSON.stringify(versions));
      else for (const version of versions) io.out(versionText(version));
    });
  withService(group.command('copy <from>'))
    .description('store rules of another dataset (dataset/name@version) in this one')
    .requiredOption('--dataset <name>', 'the dataset that gets them')
    .requiredOption('--reason <text>', 'why')
    .option('--name <name>', 'name of the rule set there (else the same)')
    .action(
      async (
        from: string,
        options: ServiceOptions & { dataset: string; name?: string; reason: string },
      ) => {
        const body = { from, name: options.name, reason: options.reason };
        const path = `${pathOf(options.dataset)}/copy`;
        const stored = await clientOf(io, options).create<CopiedRuleSet>(path, body);
        if (options.json) io.out(JSON.stringify(stored));
        else io.say(`${stored.name}@${stored.version} ${stored.digest}`);
      },
    );
}

const pathOf = (dataset: string) => `/v1/datasets/${encodeURIComponent(dataset)}/rule-sets`;

function versionText(version: RuleSetVersion): string {
  const { name, createdAt, createdBy, reason, digest, change } = version;
  const head = `${name}@${version.version}  ${createdAt}  ${createdBy}  ${digest}\n  ${reason}`;
  if (change === null) return head;
  return change === '' ? `${head}\n  (says the same)` : `${head}\n${change.trimEnd()}`;
}
