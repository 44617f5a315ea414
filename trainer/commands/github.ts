// counterweight github policies add|list|remove: which workflow runs of GitHub may launch what.

import { Option } from 'commander';
import { type GithubPolicy, githubEvents } from '../../api/contract/github.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

type AddOptions = ServiceOptions & {
  repository: string;
  repositoryId: string;
  ownerId: string;
  issuer?: string;
  ref: string[];
  event: string[];
  environment?: string[];
  workflow?: string;
  dataset: string;
  alias: string[];
  target?: string[];
  reason: string;
};

const path = '/v1/github/policies';

export const github: AddCommand = (program, io) => {
  const group = program.command('github').description('launching from GitHub without a secret');
  const policies = group
    .command('policies')
    .description('which workflow runs are trusted with what, for admins');
  withService(policies.command('add'))
    .description('trust runs of a repository with launching from aliases of a dataset')
    .requiredOption('--repository <owner/name>', 'as it is called now; shown, never compared')
    .requiredOption('--repository-id <id>', "gh api repos/OWNER/NAME --jq '.id'")
    .requiredOption('--owner-id <id>', "gh api repos/OWNER/NAME --jq '.owner.id'")
    .option('--issuer <url>', 'of a GitHub Enterprise Server; left out, github.com')
    .requiredOption('--ref <pattern...>', 'as refs/heads/main, refs/tags/v* or refs/pull/*')
    .addOption(
      new Option('--event <event...>', 'what may start a run')
        .choices([...githubEvents])
        .makeOptionMandatory(),
    )
    .option('--environment <name...>', 'of which the job has to be')
    .option('--workflow <path>', 'as .github/workflows/train.yml, or with @refs/heads/main')
    .requiredOption('--dataset <name>', 'whose snapshots it launches')
    .requiredOption('--alias <name...>', 'where they stand')
    .option('--target <name...>', 'where it launches; left out, on every target')
    .requiredOption('--reason <text>', 'why it is trusted')
    .action(async (options: AddOptions) => {
      const made = await clientOf(io, options).create<GithubPolicy>(path, bodyOf(options));
      if (options.json) return io.out(JSON.stringify(made));
      io.out(`policy ${made.id}: ${ruleOf(made)}`);
    });
  withService(policies.command('list'))
    .description('list policies, removed ones too')
    .action(async (options: ServiceOptions) => {
      const items = await clientOf(io, options).askAll('GET /v1/github/policies');
      if (options.json) return io.out(JSON.stringify({ items }));
      const rows = items.map((one) => [one.id, ruleOf(one), one.removedAt ?? 'stands']);
      io.out(table([['policy', 'what it trusts', 'removed'], ...rows]));
    });
  withService(policies.command('remove <policy>'))
    .description('remove a policy by its id; its sessions end at once')
    .action(async (id: string, options: ServiceOptions) => {
      const one = `${path}/${encodeURIComponent(id)}`;
      const removed = await clientOf(io, options).call<GithubPolicy>('DELETE', one);
      if (options.json) return io.out(JSON.stringify(removed));
      io.say(`policy ${removed.id} of ${removed.repository} is removed, and its sessions ended`);
    });
};

function bodyOf(options: AddOptions) {
  const { repository, repositoryId, issuer, workflow, dataset, reason } = options;
  return {
    issuer,
    repository,
    repositoryId,
    repositoryOwnerId: options.ownerId,
    refs: options.ref,
    events: options.event,
    environments: options.environment,
    workflow,
    dataset,
    aliases: options.alias,
    targets: options.target,
    reason,
  };
}

function ruleOf(one: GithubPolicy): string {
  const { repository, repositoryId, refs, events, environments, workflow, targets } = one;
  const aliases = one.aliases.map((alias) => `${one.dataset}@${alias}`);
  return [
    `${repository} (${repositoryId})`,
    `at ${refs.join(', ')}`,
    `on ${events.join(', ')}`,
    ...(environments === null ? [] : [`in environment ${environments.join(', ')}`]),
    ...(workflow === null ? [] : [`by ${workflow}`]),
    `launches ${aliases.join(', ')}`,
    ...(targets === null ? [] : [`on target ${targets.join(', ')}`]),
  ].join('; ');
}
