// counterweight usage: which snapshots, jobs and models a case was part of, and how often it was
// drawn.

import type { CaseDraws, CaseUsage } from '../../api/contract/case-usage.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

export const usage: AddCommand = (program, io) => {
  withService(program.command('usage <dataset> <case>'))
    .description('which snapshots and models a case was part of, and how often it was drawn')
    .option('--job <id>', 'one job alone')
    .action(async (dataset: string, caseId: string, options: ServiceOptions & { job?: string }) => {
      const query = options.job === undefined ? '' : `?job=${encodeURIComponent(options.job)}`;
      const path = `/v1/datasets/${encodeURIComponent(dataset)}/cases/${encodeURIComponent(caseId)}/usage${query}`;
      const answer = await clientOf(io, options).call<CaseUsage>('GET', path);
      io.out(options.json ? JSON.stringify(answer) : usageText(answer));
    });
};

/** Where a case was used, as a page of text. */
export function usageText(answer: CaseUsage): string {
  const { caseId, withdrawn, versions } = answer;
  const gone =
    withdrawn === null
      ? 'not withdrawn'
      : `withdrawn by ${withdrawn.createdBy} at ${withdrawn.createdAt}: ${withdrawn.reason}`;
  return [
    `case ${caseId}: ${gone}`,
    `versions: ${versions.join(', ') || 'none'}`,
    '',
    ...snapshotLines(answer),
    '',
    ...jobLines(answer),
  ].join('\n');
}

function moreLine(shown: number, total: number): string[] {
  return total > shown ? [`... and ${total - shown} older ones`] : [];
}

function snapshotLines({ snapshots, snapshotsTotal }: CaseUsage): string[] {
  if (snapshots.length === 0) return ['in no snapshot'];
  const rows = snapshots.map(({ digest, version, split, fold, side, ...one }) => [
    digest,
    String(version),
    `${split} ${fold}`,
    side,
    side === 'train' ? one.drawProbability.toPrecision(4) : '-',
  ]);
  return [
    table([['snapshot', 'version', 'fold', 'side', 'draw probability'], ...rows]),
    ...moreLine(snapshots.length, snapshotsTotal),
  ];
}

function jobLines({ jobs, jobsTotal, models }: CaseUsage): string[] {
  if (jobs.length === 0) return ['no job saw it'];
  const rows = jobs.map(({ id, state, side, drawn }) => [id, state, side, ...drawnCells(drawn)]);
  const unverified = jobs.some(({ drawn }) => (drawn?.unverifiedEpochs ?? 0) > 0);
  return [
    table([['job', 'state', 'side', 'draws', 'verified epochs', 'unverified'], ...rows]),
    ...moreLine(jobs.length, jobsTotal),
    ...(unverified ? ['In epochs that are not verified it may have been drawn as well.'] : []),
    `models: ${models.join(', ') || 'none'}`,
  ];
}

function drawnCells(drawn: CaseDraws | null): string[] {
  if (drawn === null) return ['-', '-', '-'];
  const { count, epochsCounted, epochsVerified, atLeast, atMost } = drawn;
  const draws = epochsCounted === epochsVerified ? String(count) : `${atLeast} to ${atMost}`;
  const verified = `${epochsVerified} of ${drawn.epochsTotal}`;
  return [draws, verified, String(drawn.unverifiedEpochs)];
}
