// counterweight jobs: the newest jobs, how far each is, and why it ended or waits.

import type { Job } from '../../api/contract/jobs.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';
import { lastHeard } from './watch.ts';
import { wholeOf } from './what-if.ts';

type Options = ServiceOptions & { limit: number };

export const jobs: AddCommand = (program, io) => {
  withService(program.command('jobs'))
    .description('the newest jobs, how far each is, and why it ended or waits')
    .option('--limit <number>', 'how many, up to 500', wholeOf, 20)
    .action(async (options: Options) => {
      const query = { limit: options.limit };
      const { items } = await clientOf(io, options).ask('GET /v1/jobs', { query });
      io.out(options.json ? JSON.stringify(items) : jobsText(items));
    });
};

/** Jobs as a table, in the order given. */
export function jobsText(items: Job[]): string {
  return table([
    ['job', 'state', 'dataset', 'target', 'progress', 'reason'],
    ...items.map((job) => [
      job.id,
      job.state,
      job.dataset,
      job.target,
      job.progress === null ? '-' : `${job.progress.step} of ${job.progress.steps}`,
      reasonOf(job),
    ]),
  ]);
}

// In one line, whatever the engine wrote.
function reasonOf(job: Job): string {
  const { reason } = job;
  const text = reason === null ? lastHeard(job) : `${reason.code}: ${reason.detail}`;
  return text.replace(/\s+/g, ' ') || '-';
}
