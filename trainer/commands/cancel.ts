// counterweight cancel JOB: ends a job, also one that has not been launched yet.

import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';
import { standsAt } from './watch.ts';

type Options = ServiceOptions & { reason?: string };

export const cancel: AddCommand = (program, io) => {
  withService(program.command('cancel <job>'))
    .description('end a job, also one that has not been launched yet')
    .option('--reason <text>', 'why')
    .action(async (id: string, { reason, ...options }: Options) => {
      const request = { path: { id }, body: { reason } };
      const job = await clientOf(io, options).ask('POST /v1/jobs/{id}/cancel', request);
      io.say(`job ${job.id} is ${standsAt(job)}`);
      if (options.json) io.out(JSON.stringify(job));
    });
};
