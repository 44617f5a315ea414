// counterweight retry JOB: another attempt of a job that ended, from its checkpoint.

import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { standsAt } from './watch.ts';

type Options = ServiceOptions & { reason?: string; acceptWithdrawn?: boolean };

export const retry: AddCommand = (program, io) => {
  withService(program.command('retry <job>'))
    .description('another attempt of a job that failed, timed out, was lost or was cancelled')
    .option('--reason <text>', 'why')
    .option('--accept-withdrawn', 'although its snapshot holds withdrawn cases; needs --reason')
    .action(async (id: string, { reason, acceptWithdrawn, ...options }: Options) => {
      const request = { path: { id }, body: { reason, acceptWithdrawn } };
      const job = await clientOf(io, options).ask('POST /v1/jobs/{id}/retry', request);
      io.say(`job ${job.id} is ${standsAt(job)}`);
      if (options.json) io.out(JSON.stringify(job));
    });
};
