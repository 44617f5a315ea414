// counterweight shares: what a snapshot gives to each subgroup of cases.

import type { SubgroupShares } from '../../api/contract/shares.ts';
import {
  type AddCommand,
  clientOf,
  percent,
  type ServiceOptions,
  table,
  withService,
} from './io.ts';

type Options = ServiceOptions & { by?: string; bins?: string; csv?: boolean };

export const shares: AddCommand = (program, io) => {
  withService(program.command('shares <snapshot>'))
    .description('shares of subgroups in target, draws, effective target and validation')
    .option('--by <attribute>', "one attribute instead of the rules' groups")
    .option('--bins <edges>', 'edges of the bins of a number, as 1,10')
    .option('--csv', 'answer CSV on stdout')
    .action(async (snapshot: string, { by, bins, csv, ...options }: Options) => {
      const query = new URLSearchParams({
        ...(by === undefined ? {} : { by }),
        ...(bins === undefined ? {} : { bins }),
      });
      const path = `/v1/snapshots/${encodeURIComponent(snapshot)}/shares`;
      const accept = csv ? 'text/csv' : 'application/json';
      const response = await clientOf(io, options).send('GET', `${path}?${query}`, {
        headers: { accept },
      });
      const text = await response.text();
      io.out(csv || options.json ? text.trimEnd() : sharesText(JSON.parse(text)));
    });
};

/** A subgroup report as a table. */
export function sharesText({ rows }: SubgroupShares): string {
  if (rows.length === 0) return 'the rules name no groups; ask for an attribute with --by';
  const head = ['group', 'cases', 'target', 'draws', 'effective target', 'validation cases', ''];
  return table([
    head,
    ...rows.map((row) => [
      `${row.attribute}=${row.value}`,
      String(row.caseCount),
      percent(row.targetShare),
      percent(row.drawShare),
      percent(row.effectiveTargetShare),
      row.validationCount === null ? '-' : String(row.validationCount),
      row.validationShare === null ? '' : percent(row.validationShare),
    ]),
  ]);
}
