// counterweight withdraw: take a case out of every later snapshot.

import type { WithdrawnCase } from '../../api/contract/withdrawals.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';

export const withdraw: AddCommand = (program, io) => {
  withService(program.command('withdraw <dataset> <case>'))
    .description('take a case out of every later snapshot; it cannot be taken back')
    .requiredOption('--reason <text>', 'why')
    .action(
      async (dataset: string, caseId: string, options: ServiceOptions & { reason: string }) => {
        const path = `/v1/datasets/${encodeURIComponent(dataset)}/withdrawals`;
        const body = { caseId, reason: options.reason };
        const answer = await clientOf(io, options).create<WithdrawnCase>(path, body);
        io.out(options.json ? JSON.stringify(answer) : withdrawnText(answer));
      },
    );
};

/** What was withdrawn, and what it came too late for. */
export function withdrawnText({ caseId, snapshots, jobs }: WithdrawnCase): string {
  const frozen =
    snapshots === 0
      ? 'no snapshot holds it'
      : `${snapshots} ${snapshots === 1 ? 'snapshot holds' : 'snapshots hold'} it already; freeze again to leave it out`;
  const running =
    jobs.length === 0
      ? ['no running job draws it']
      : [
          'running jobs that draw it, each told by an event (POST /v1/jobs/ID/cancel ends one):',
          ...jobs.map(({ id, state }) => `  ${id}  ${state}`),
        ];
  return [`case ${caseId} is withdrawn`, frozen, ...running].join('\n');
}
