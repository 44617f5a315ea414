// counterweight retry JOB: another attempt of a job that ended, from its checkpoint.

import type { Job } from '../../api/contract/jobs.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { standsAt } from './watch.ts';

type Options = ServiceOptions & { reason?: string; acceptWithdrawn?: boolean };

export const retry: AddCommand = (program, io) => {
  withService(program.command('retry <job>'))
    .description('another attempt of a job that failed, timed out, was lost or was cancelled')
    .option('--reason <text>', 'why')
    .option('--accept-withdrawn', 'although its snapshot holds withdrawn cases; needs --reason')
    .action(async (id: string, { reason, acceptWithdrawn, ...options }: Options) => {
      const path = `/v1/jobs/${encodeURIComponent(id)}/retry`;
      const body = { reason, acceptWithdrawn };
      const job = await clientOf(io, options).call<Job>('POST', path, body);
      io.say(`job ${job.id} is ${standsAt(job)}`);
      if (options.json) io.out(JSON.stringify(job));
    });
};
