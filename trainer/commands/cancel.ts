// counterweight cancel JOB: ends a job, also one that has not been launched yet.

import type { Job } from '../../api/contract/jobs.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { standsAt } from './watch.ts';

type Options = ServiceOptions & { reason?: string };

export const cancel: AddCommand = (program, io) => {
  withService(program.command('cancel <job>'))
    .description('end a job, also one that has not been launched yet')
    .option('--reason <text>', 'why')
    .action(async (id: string, { reason, ...options }: Options) => {
      const path = `/v1/jobs/${encodeURIComponent(id)}/cancel`;
      const job = await clientOf(io, options).call<Job>('POST', path, { reason });
      io.say(`job ${job.id} is ${standsAt(job)}`);
      if (options.json) io.out(JSON.stringify(job));
    });
};
