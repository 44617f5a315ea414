// counterweight gpu-hours: what ran for how many GPU hours.

import { Option } from 'commander';
import {
  type Usage,
  type UsageItem,
  type UsageKind,
  usageKinds,
} from '../../api/contract/usage.ts';
import type { Client } from '../client.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

type Options = ServiceOptions & { by: UsageKind; from?: string; to?: string };

export const gpuHours: AddCommand = (program, io) => {
  const by = new Option('--by <what>', 'what the hours are summed by').choices([...usageKinds]);
  withService(program.command('gpu-hours'))
    .description('GPU hours of the last 30 days, by job, dataset, actor or target')
    .addOption(by.makeOptionMandatory())
    .option('--from <time>', 'the first moment that counts, as 2026-03-01 or 2026-03-01T09:00:00Z')
    .option('--to <time>', 'the first moment that no longer counts; else now')
    .action(async (options: Options) => {
      const usage = await wholeUsage(clientOf(io, options), options);
      io.out(options.json ? JSON.stringify(usage) : gpuHoursText(usage));
    });
};

/** All pages as one. */
async function wholeUsage(client: Client, { by, from, to }: Options): Promise<Usage> {
  const items: UsageItem[] = [];
  for (let cursor: string | undefined; ; ) {
    const given = Object.entries({ by, limit: '500', from, to, cursor });
    const said = given.filter((pair): pair is [string, string] => pair[1] !== undefined);
    const page = await client.call<Usage>('GET', `/v1/usage?${new URLSearchParams(said)}`);
    items.push(...page.items);
    if (page.nextCursor === null) return { ...page, items };
    cursor = page.nextCursor;
  }
}

/** Sums as a table with their total. */
export function gpuHoursText({ by, from, to, items, total }: Usage): string {
  const sums = ({ gpuHours, hours, jobs, attempts, running }: Usage['total']) => [
    gpuHours.toFixed(2),
    hours.toFixed(2),
    ...[jobs, attempts, running].map(String),
  ];
  const names = ({ key, name }: UsageItem) => (key === name ? [name] : [key, name]);
  const twoNames = by === 'job' || by === 'dataset';
  const blank = twoNames ? [''] : [];
  return [
    `from ${from} to ${to}`,
    table([
      [by, ...(twoNames ? ['name'] : []), 'GPU hours', 'hours', 'jobs', 'attempts', 'running'],
      ...items.map((item) => [...names(item), ...sums(item)]),
      ['total', ...blank, ...sums(total)],
    ]),
  ].join('\n');
}
