// npm run bench -- scale [CASES] [--postgres] [--json FILE]: every operation on many synthetic
// cases, on embedded or real Postgres. Prints seconds per step, CPU of the service, and its peak
// memory so far.

import { table } from '../../trainer/commands/io.ts';
import { downloadSnapshot } from '../../trainer/snapshot-download.ts';
import {
  datasetPath,
  freezeFold,
  heapMb,
  importCases,
  type Step,
  startMeasured,
} from './measured-service.ts';
import { type BenchRow, benchRow, writeRows } from './report.ts';
import { caseId } from './synthetic.ts';

export async function scale(args: string[]): Promise<void> {
  const caseCount = Number(args.find((text) => /^\d+$/.test(text)) ?? 100_000);
  const service = await startMeasured({ postgres: args.includes('--postgres') });
  const { client, timed } = service;
  try {
    await importCases(service, caseCount);
    const fold = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'r@1' };
    await timed('what-if', () => client.call('POST', `${datasetPath}/what-if`, fold));
    const digest = await freezeFold(service, 0);
    const other = await freezeFold(service, 1);
    await timed('stream NDJSON', async () => {
      const headers = { accept: 'application/x-ndjson' };
      const response = await client.send('GET', `/v1/snapshots/${digest}/cases`, { headers });
      for await (const _ of response.body as unknown as AsyncIterable<Uint8Array>);
    });
    await timed('verified fetch', () => downloadSnapshot(client, digest));
    const path = `/v1/snapshots/${digest}`;
    await timed('diff', () => client.call('GET', `${path}/diff/${other}`));
    await timed('explain', () => client.call('GET', `${path}/cases/${caseId(1)}`));
    await timed('shares', () => client.call('GET', `${path}/shares`));
    await timed('audit verify', () => client.call('GET', '/v1/audit/verify'));
  } finally {
    await service.stop();
  }
  report(service.steps, caseCount);
  const json = args[args.indexOf('--json') + 1];
  if (args.includes('--json'))
    writeRows(json, service.steps.flatMap(rowsOf), { caseCount, heapMb });
}

function rowsOf({ what, seconds, peakMb }: Step): BenchRow[] {
  return [
    benchRow({ name: what, value: seconds, unit: 's' }),
    benchRow({ name: `${what}, peak memory so far`, value: peakMb, unit: 'MB' }),
  ];
}

function report(steps: Step[], caseCount: number): void {
  const heading = [`${caseCount} cases`, 'seconds', 'service CPU', 'peak MB'];
  const rows = steps.map(({ what, seconds, cpuSeconds, peakMb }) => [
    what,
    seconds.toFixed(1),
    cpuSeconds.toFixed(1),
    peakMb.toFixed(0),
  ]);
  const total = steps.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(table([heading, ...rows, ['total', total.toFixed(1), '', '']]));
  console.log(`heap of the service limited to ${heapMb} MB`);
}
