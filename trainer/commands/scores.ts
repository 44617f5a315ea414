// counterweight scores push DATASET SUMMARY...: nnU-Net's validation summaries, one a fold, become
// an out-of-fold attribute of a draft's cases.

import { gzipSync } from 'node:zlib';
import type { ScoresAnswer } from '../../api/contract/scores.ts';
import { exitCodes, failure } from '../client.ts';
import { readText } from './files.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';

type PushOptions = ServiceOptions & {
  version: string;
  split: string;
  attribute: string;
  reason: string;
  model?: string;
  fold?: string;
};

export const scores: AddCommand = (program, io) => {
  const group = program.command('scores').description('scores that models gave to cases');
  withService(group.command('push <dataset> <summaries...>'))
    .description("store nnU-Net's validation summaries (summary.json), the first is fold 0")
    .requiredOption('--version <number>', 'the draft')
    .requiredOption('--split <name>', 'the split that the models were trained by')
    .requiredOption('--attribute <name>', 'the attribute that holds the mean Dice')
    .requiredOption('--reason <text>', 'why')
    .option('--model <name>', 'name of the model (else the name of the attribute)')
    .option('--fold <number>', 'the fold of the only summary')
    .action(async (dataset: string, summaries: string[], options: PushOptions) => {
      const bodies = summaries.map((file) => gzipSync(readText(file)));
      const client = clientOf(io, options);
      const path = `/v1/datasets/${encodeURIComponent(dataset)}/versions/${encodeURIComponent(options.version)}/scores/${encodeURIComponent(options.attribute)}`;
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      const answers: ScoresAnswer[] = [];
      for (const [k, fold] of foldsOf(summaries, options.fold).entries()) {
        const query = queryOf(options, fold);
        const response = await client.send('PUT', `${path}?${query}`, { body: bodies[k], headers });
        const answer = (await response.json()) as ScoresAnswer;
        answers.push(answer);
        io.say(`fold ${fold}: ${answer.scored} cases scored${missingOf(answer)}`);
      }
      if (options.json) io.out(JSON.stringify({ dataset, folds: answers }));
    });
};

function foldsOf(summaries: string[], fold: string | undefined): string[] {
  if (fold === undefined) return summaries.map((_, k) => String(k));
  if (summaries.length === 1) return [fold];
  throw failure(
    `--fold ${fold} goes with one summary, but there are ${summaries.length}; without it the first is fold 0, the next fold 1`,
    exitCodes.usage,
  );
}

function queryOf({ split, reason, model }: PushOptions, fold: string): string {
  const query = new URLSearchParams({ split, fold, reason });
  if (model !== undefined) query.set('model', model);
  return query.toString();
}

function missingOf({ missing, missingCount }: ScoresAnswer): string {
  if (missingCount === 0) return '';
  const more = missingCount > 5 ? ', ...' : '';
  return `, ${missingCount} without a Dice: ${missing.slice(0, 5).join(', ')}${more}`;
}
