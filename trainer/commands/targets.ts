// counterweight targets [NAME]: where jobs can run; with a name, what is wrong there.

import type { Finding } from '../../api/contract/targets.ts';
import { exitCodes } from '../client.ts';
import { type AddCommand, clientOf, type ServiceOptions, table, withService } from './io.ts';

type Target = {
  name: string;
  engine: string;
  datasets: string[];
  gpuTypes: string[];
  limits: { jobsAtOnce?: number };
  gpuHours?: { used: number; counted: number; limit: number };
};

export const targets: AddCommand = (program, io) => {
  withService(program.command('targets [name]'))
    .description('where jobs can run; with a name, whether they can, and what is wrong')
    .action(async (name: string | undefined, options: ServiceOptions) => {
      const client = clientOf(io, options);
      if (name === undefined) {
        const { items } = await client.ask('GET /v1/targets');
        io.out(options.json ? JSON.stringify(items) : targetsText(items));
        return;
      }
      const { findings } = await client.ask('GET /v1/targets/{name}/check', { path: { name } });
      io.out(options.json ? JSON.stringify(findings) : findingsText(findings));
      if (findings.some(({ severity }) => severity === 'error')) io.exitWith(exitCodes.failed);
    });
};

/** Targets as a table. */
export function targetsText(items: Target[]): string {
  const listed = (names: string[]) => names.join(', ') || '-';
  const hours = ({ gpuHours }: Target) =>
    gpuHours === undefined
      ? '-'
      : `${gpuHours.used.toFixed(1)} used, ${gpuHours.counted.toFixed(1)} counted, of ${gpuHours.limit}`;
  return table([
    ['target', 'engine', 'datasets', 'GPUs', 'jobs at once', 'GPU hours of 24 h'],
    ...items.map((one) => [
      one.name,
      one.engine,
      listed(one.datasets),
      listed(one.gpuTypes),
      String(one.limits.jobsAtOnce ?? '-'),
      hours(one),
    ]),
  ]);
}

/** Findings of a check, the worst first. */
export function findingsText(findings: Finding[]): string {
  const order: Finding['severity'][] = ['error', 'warning', 'ok'];
  return order
    .flatMap((severity) => findings.filter((one) => one.severity === severity))
    .map(({ severity, detail }) => `${severity.padEnd(7)} ${detail}`)
    .join('\n');
}
