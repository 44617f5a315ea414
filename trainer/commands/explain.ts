// counterweight explain: why one case has its numbers, term by term.

import type { z } from 'zod';
import type { explanationSchema } from '../../api/contract/snapshots.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

type Explanation = z.infer<typeof explanationSchema>;

export const explain: AddCommand = (program, io) => {
  withService(program.command('explain <snapshot> <case>'))
    .description('why a case is drawn so often and counts so much: every term and its factor')
    .action(async (snapshot: string, caseId: string, options: ServiceOptions) => {
      const request = { path: { snapshot, caseId } };
      const client = clientOf(io, options);
      const answer = await client.ask('GET /v1/snapshots/{snapshot}/cases/{caseId}', request);
      io.out(options.json ? JSON.stringify(answer) : explanationText(answer));
    });
};

/** An explanation as a page of text; the factors of a list multiply. */
export function explanationText(answer: Explanation): string {
  const { id, terms, score, targetProbability, drawProbability, lossFactor, boundedBy, mix } =
    answer;
  const rows = terms.map(({ list, name, factor, because }) => [
    list,
    name,
    factor.toPrecision(4),
    because,
  ]);
  const bound = boundedBy === null ? '' : `, held at the ${boundedBy}`;
  const ratio = drawProbability / targetProbability;
  return [
    `case ${id}`,
    rows.length === 0 ? 'no term of the rules touches it' : table([heading, ...rows]),
    '',
    `score             ${score.toPrecision(4)}`,
    `target            ${targetProbability.toPrecision(4)} of the loss`,
    `draw probability  ${drawProbability.toPrecision(4)}, ${ratio.toPrecision(4)} times its target${bound}`,
    `loss factor       ${lossFactor.toPrecision(4)}`,
    ...(mix === null ? [] : ['', mix]),
  ].join('\n');
}

const heading = ['list', 'term', 'factor', 'because'];
