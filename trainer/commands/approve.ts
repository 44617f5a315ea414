// counterweight approve: vouch for a snapshot that somebody else froze, or take that back.

import type { Approval } from '../../api/contract/approvals.ts';
import { exitCodes, failure } from '../client.ts';
import { type AddCommand, clientOf, type ServiceOptions, withService } from './io.ts';

type Options = ServiceOptions & { meaning?: string; reason: string; revoke?: string };

export const approve: AddCommand = (program, io) => {
  withService(program.command('approve <snapshot>'))
    .description('approve a snapshot that somebody else froze, or revoke an approval')
    .option('--meaning <text>', 'what is vouched for, as "clinical review"')
    .option('--revoke <approval>', 'revoke this approval instead')
    .requiredOption('--reason <text>', 'why')
    .action(async (snapshot: string, options: Options) => {
      const { meaning, reason, revoke } = options;
      if ((meaning === undefined) === (revoke === undefined)) {
        throw failure('give either --meaning, or --revoke with an approval', exitCodes.usage);
      }
      const client = clientOf(io, options);
      const key = client.newKey();
      const answer =
        meaning !== undefined
          ? await client.ask('POST /v1/snapshots/{snapshot}/approvals', {
              path: { snapshot },
              body: { meaning, reason },
              key,
            })
          : await client.ask('POST /v1/snapshots/{snapshot}/approvals/{id}/revoke', {
              path: { snapshot, id: revoke as string },
              body: { reason },
              key,
            });
      io.out(options.json ? JSON.stringify(answer) : approvalText(answer));
    });
};

/** An approval in a line, with what revoked it. */
export function approvalText({ id, snapshot, meaning, createdBy, createdAt, revoked }: Approval) {
  const end = revoked === null ? '' : `; revoked by ${revoked.createdBy}: ${revoked.reason}`;
  return `approval ${id} of ${snapshot}: ${meaning}, by ${createdBy} at ${createdAt}${end}`;
}
