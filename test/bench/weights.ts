// npm run bench -- weights [--only plan|rows] [--cases N] [--json FILE]: plans of draws against the
// samplers that people use, and upload, freeze and fetch against COPY.

import { copyRows } from './copy.ts';
import { planNote, planRows } from './plan.ts';
import { type BenchRow, flag, printRows, writeRows } from './report.ts';

export async function plansAndCopies(args: string[]): Promise<void> {
  const only = flag(args, '--only');
  const json = flag(args, '--json');
  const rows: BenchRow[] = [];
  let versions: Record<string, unknown> = {};
  if (only !== 'rows') {
    const plan = await planRows();
    rows.push(...plan.rows);
    versions = plan.versions;
  }
  if (only !== 'plan') {
    rows.push(...(await copyRows(Number(flag(args, '--cases') ?? 1_000_000))));
  }
  printRows(rows);
  if (only !== 'rows') console.log(planNote);
  if (json !== undefined) writeRows(json, rows, versions);
}
