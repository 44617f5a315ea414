// counterweight tokens create|list|revoke: who may ask the service, for what, until when.

import { Option } from 'commander';
import { type Role, roles, type Token } from '../../api/contract/tokens.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

type CreateOptions = ServiceOptions & {
  name: string;
  actor: string;
  role: Role;
  expiresAt?: string;
};

export const tokens: AddCommand = (program, io) => {
  const group = program.command('tokens').description('tokens of people and machines, for admins');
  withService(group.command('create'))
    .description('make a token; its secret is written to stdout, once')
    .requiredOption('--name <text>', 'what it is for')
    .requiredOption('--actor <name>', 'who asks with it')
    .addOption(
      new Option('--role <role>', 'what it may do').choices([...roles]).makeOptionMandatory(),
    )
    .option('--expires-at <time>', 'as 2027-01-31T00:00:00Z; left out, it does not expire')
    .action(async (options: CreateOptions) => {
      const { name, actor, role, expiresAt } = options;
      const body = { name, actor, role, expiresAt };
      const client = clientOf(io, options);
      const made = await client.ask('POST /v1/tokens', { body, key: client.newKey() });
      if (options.json) return io.out(JSON.stringify(made));
      io.say(`token ${made.id}: ${made.role} for ${made.actor}; its secret is shown this once`);
      io.out(made.secret);
    });
  withService(group.command('list'))
    .description('list tokens, without their secrets')
    .action(async (options: ServiceOptions) => {
      const items = await clientOf(io, options).askAll('GET /v1/tokens');
      if (options.json) return io.out(JSON.stringify({ items }));
      const rows = items.map((one) => [
        one.id,
        one.role,
        one.actor,
        one.name,
        lifeOf(one),
        useOf(one),
      ]);
      io.out(table([['token', 'role', 'actor', 'name', 'until', 'last used'], ...rows]));
    });
  withService(group.command('revoke <token>'))
    .description('revoke a token by its id; no request passes with it from then on')
    .action(async (id: string, options: ServiceOptions) => {
      const client = clientOf(io, options);
      const revoked = await client.ask('DELETE /v1/tokens/{id}', { path: { id } });
      if (options.json) return io.out(JSON.stringify(revoked));
      io.say(`token ${revoked.id} of ${revoked.actor} is revoked`);
    });
};

const useOf = ({ lastUsedAt }: Token) => lastUsedAt ?? 'never';

function lifeOf({ revokedAt, expiresAt }: Token): string {
  if (revokedAt !== null) return `revoked at ${revokedAt}`;
  return expiresAt ?? 'no end';
}
