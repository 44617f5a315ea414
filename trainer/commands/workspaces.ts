// counterweight workspaces list|add: the workspaces of a deployment, for those who run it.

import type { MadeWorkspace } from '../../api/contract/workspaces.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

type AddOptions = ServiceOptions & { actor: string; reason?: string };

export const workspaces: AddCommand = (program, io) => {
  const group = program
    .command('workspaces')
    .description('workspaces of the deployment, for admins of the workspace default');
  withService(group.command('add <name>'))
    .description('make a workspace; the secret of its first admin token is written to stdout, once')
    .requiredOption('--actor <name>', 'who gets the first admin token')
    .option('--reason <text>', 'why, for the audit chain')
    .action(async (name: string, options: AddOptions) => {
      const { actor, reason } = options;
      const body = { name, actor, reason };
      const made = await clientOf(io, options).create<MadeWorkspace>('/v1/workspaces', body);
      if (options.json) return io.out(JSON.stringify(made));
      io.say(`workspace ${made.name}: admin token ${made.token.id} for ${made.token.actor}`);
      io.say('its secret is shown this once');
      io.out(made.token.secret);
    });
  withService(group.command('list'))
    .description('list workspaces by name')
    .action(async (options: ServiceOptions) => {
      const items = await clientOf(io, options).askAll('GET /v1/workspaces');
      if (options.json) return io.out(JSON.stringify({ items }));
      const rows = items.map(({ id, name, createdAt }) => [id, name, createdAt]);
      io.out(table([['workspace', 'name', 'made at'], ...rows]));
    });
};
