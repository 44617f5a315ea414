// counterweight webhooks add|list|deliveries|redeliver|test|enable|remove: who is told of what
// happens in the workspace, what became of it, and sending again what did not arrive.

import { Option } from 'commander';
import {
  type DeliveryState,
  deliveryStates,
  type MadeWebhook,
  type Webhook,
  type WebhookDelivery,
} from '../../api/contract/webhooks.ts';
import { failure } from '../client.ts';
import {
  type AddCommand,
  clientOf,
  type Io,
  type ServiceOptions,
  table,
  withService,
} from './io.ts';

const pathOf = (id: string) => `/v1/webhooks/${encodeURIComponent(id)}`;

export const webhooks: AddCommand = (program, io) => {
  const group = program
    .command('webhooks')
    .description('addresses that are told of what happens, for admins');
  withService(group.command('add <url>'))
    .description('make a webhook; its signing secret is written to stdout, once')
    .option('--events <names>', 'as job.ended,snapshot.*; left out, everything', '*')
    .requiredOption('--reason <text>', 'why')
    .action(async (url: string, options: ServiceOptions & { events: string; reason: string }) => {
      const { events, reason } = options;
      const body = { url, events: events.split(',').map((one) => one.trim()), reason };
      const made = await clientOf(io, options).create<MadeWebhook>('/v1/webhooks', body);
      if (options.json) return io.out(JSON.stringify(made));
      io.say(`webhook ${made.id} for ${made.events.join(', ')}; its secret is shown this once`);
      io.out(made.secret);
    });
  withService(group.command('list'))
    .description('list webhooks with their health')
    .action(async (options: ServiceOptions) => {
      const items = await clientOf(io, options).askAll('GET /v1/webhooks');
      if (options.json) return io.out(JSON.stringify({ items }));
      const rows = items.map((one) => [one.id, one.state, ...healthOf(one), one.url]);
      const head = ['webhook', 'state', 'pending', 'dead', 'last delivered', 'url'];
      io.out(table([head, ...rows]));
      for (const one of items) io.say(troubleOf(one));
    });
  addRepairs(group, io);
  withService(group.command('remove <webhook>'))
    .description('remove a webhook by its id, with what it would still be sent')
    .action(async (id: string, options: ServiceOptions) => {
      const removed = await clientOf(io, options).call<Webhook>('DELETE', pathOf(id));
      if (options.json) return io.out(JSON.stringify(removed));
      io.say(`webhook ${removed.id} is removed; ${removed.health.pending} were still to be sent`);
    });
};

function addRepairs(group: Parameters<AddCommand>[0], io: Io): void {
  withService(group.command('deliveries <webhook>'))
    .description('list what a webhook was sent and will be sent, newest first')
    .addOption(new Option('--state <state>', 'those alone').choices([...deliveryStates]))
    .action(async (id: string, options: ServiceOptions & { state?: DeliveryState }) => {
      const asked = { path: { id }, query: { state: options.state } };
      const client = clientOf(io, options);
      const items = await client.askAll('GET /v1/webhooks/{id}/deliveries', asked);
      if (options.json) return io.out(JSON.stringify({ items }));
      const rows = items.map((one) => [one.id, one.type, one.state, `${one.attempts}`, endOf(one)]);
      io.out(table([['delivery', 'event', 'state', 'tries', 'answer'], ...rows]));
    });
  withService(group.command('redeliver <webhook> [deliveries...]'))
    .description('send again, under the old id; without deliveries, all that are dead')
    .action(async (id: string, given: string[], options: ServiceOptions) => {
      const client = clientOf(io, options);
      const dead = { path: { id }, query: { state: 'dead' as const } };
      const all = () => client.askAll('GET /v1/webhooks/{id}/deliveries', dead);
      const ids = given.length > 0 ? given : (await all()).map((one) => one.id).reverse();
      const items: WebhookDelivery[] = [];
      for (const one of ids) {
        const path = `${pathOf(id)}/deliveries/${encodeURIComponent(one)}/redeliver`;
        items.push(await client.create<WebhookDelivery>(path, {}));
      }
      if (options.json) return io.out(JSON.stringify({ items }));
      io.say(`${items.length} to be sent again`);
    });
  withService(group.command('test <webhook>'))
    .description('send a ping now and say what came of it')
    .action(async (id: string, options: ServiceOptions) => {
      const ping = await clientOf(io, options).create<WebhookDelivery>(`${pathOf(id)}/test`, {});
      if (options.json) io.out(JSON.stringify(ping));
      if (ping.state !== 'delivered') throw failure(`the ping did not arrive: ${endOf(ping)}`);
      if (!options.json) io.say(`the ping arrived: ${endOf(ping)}`);
    });
  withService(group.command('enable <webhook>'))
    .description('begin again to send to a webhook that was disabled')
    .requiredOption('--reason <text>', 'why')
    .action(async (id: string, options: ServiceOptions & { reason: string }) => {
      const { reason } = options;
      const path = `${pathOf(id)}/enable`;
      const enabled = await clientOf(io, options).create<Webhook>(path, { reason });
      if (options.json) return io.out(JSON.stringify(enabled));
      io.say(`webhook ${enabled.id} is ${enabled.state}`);
    });
}

const healthOf = ({ health: { pending, dead, lastDeliveredAt } }: Webhook) => [
  `${pending}`,
  `${dead}`,
  lastDeliveredAt ?? 'never',
];

function troubleOf({ id, state, disabledBecause, health }: Webhook): string {
  if (state === 'disabled') return `${id} is disabled: ${disabledBecause}`;
  if (health.failingSince === null) return `${id} is well`;
  return `${id} fails since ${health.failingSince}: ${health.lastFailure}`;
}

function endOf({ state, lastStatus, lastFailure, dueAt }: WebhookDelivery): string {
  if (state === 'delivered') return `answered ${lastStatus}`;
  const next = dueAt === null ? [] : [`next at ${dueAt}`];
  return [...(lastFailure === null ? [] : [lastFailure]), ...next].join('; ');
}
