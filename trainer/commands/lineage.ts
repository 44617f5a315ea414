// counterweight lineage: where a snapshot comes from, who used it and who vouched for it.

import type { Lineage } from '../../api/contract/lineage.ts';
import { approvalText } from './approve.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';

export const lineage: AddCommand = (program, io) => {
  withService(program.command('lineage <snapshot>'))
    .description('parents, children, sources, jobs, approvals and aliases of a snapshot')
    .action(async (snapshot: string, options: ServiceOptions) => {
      const request = { path: { snapshot } };
      const answer = await clientOf(io, options).ask(
        'GET /v1/snapshots/{snapshot}/lineage',
        request,
      );
      io.out(options.json ? JSON.stringify(answer) : lineageText(answer));
    });
};

/** A lineage as a page of text; what is empty is said to be. */
export function lineageText(answer: Lineage): string {
  const { ruleSet, datasetVersion: version } = answer;
  const relative = ({ digest, cause, createdBy }: Lineage['parents'][number]) =>
    `${digest}  ${cause}, by ${createdBy}`;
  return [
    `snapshot ${answer.snapshot}`,
    `rules ${ruleSet.name}@${ruleSet.version} ${ruleSet.digest}`,
    `dataset ${version.dataset} version ${version.number} ${version.digest}`,
    ...part('parents', answer.parents.map(relative)),
    ...part('children', answer.children.map(relative)),
    ...part(
      'jobs',
      answer.jobs.map(({ id, state, alias }) =>
        alias === null ? `${id}  ${state}` : `${id}  ${state}, by ${alias.name} ${alias.number}`,
      ),
    ),
    ...part('approvals', answer.approvals.map(approvalText)),
    ...part(
      'aliases',
      answer.aliases.map(
        ({ name, number, fold, from, until }) =>
          `${name} ${number}, fold ${fold}: from ${from} ${until === null ? 'until now' : `to ${until}`}`,
      ),
    ),
  ].join('\n');
}

function part(title: string, lines: string[]): string[] {
  return lines.length === 0 ? [`${title}: none`] : [`${title}:`, ...lines.map((one) => `  ${one}`)];
}
