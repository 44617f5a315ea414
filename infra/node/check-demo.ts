// Says whether a result of `npm run demo -- --json FILE` is what a demo must reach: both jobs done,
// every epoch's draws replayed, Dice high enough. Used by .ci/run; exit code 1 names each fault.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

export type DemoJob = {
  name: string;
  id: string;
  state: string;
  snapshot: string;
  seconds: number;
  steps: number;
  dice: Record<string, number | null>;
  ledger: { verified: number; partial: number; mismatch: number };
  effectiveFraction: number;
};

export type DemoResult = { seconds: number; backend: string; jobs: DemoJob[] };

/** What is wrong with a demo's result, in sentences; empty where nothing is. */
export function demoFaults(result: DemoResult, { minDice }: { minDice: number }): string[] {
  const jobs = Array.isArray(result.jobs) ? result.jobs : [];
  const faults = jobs.flatMap((job) => jobFaults(job, minDice));
  if (jobs.length !== 2) faults.push(`there are ${jobs.length} jobs, not 2`);
  if (new Set(jobs.map(({ snapshot }) => snapshot)).size !== jobs.length) {
    faults.push('both jobs drew by the same snapshot, so nothing was compared');
  }
  if (new Set(jobs.map(({ ledger }) => ledger?.verified)).size > 1) {
    faults.push('one job has fewer verified epochs than the other');
  }
  if (!jobs.some(({ effectiveFraction }) => effectiveFraction < 0.9999)) {
    faults.push('no job drew by anything but uniform probabilities');
  }
  return faults;
}

function jobFaults(job: DemoJob, minDice: number): string[] {
  const { verified, partial, mismatch } = job.ledger ?? {};
  const dice = job.dice?.mean; // null where there was none: not a number in JSON
  const checks: [boolean, string][] = [
    [job.state === 'succeeded', `ended ${job.state}`],
    [job.steps > 0, `did ${job.steps} steps`],
    [verified > 0, `has ${verified} verified epochs`],
    [partial === 0, `has ${partial} epochs that are only partly covered`],
    [mismatch === 0, `has ${mismatch} epochs whose draws are not the planned ones`],
    [(dice ?? Number.NaN) >= minDice, `reached a mean Dice of ${dice}, under ${minDice}`],
  ];
  return checks.filter(([holds]) => !holds).map(([, fault]) => `job ${job.name} ${fault}`);
}

function main(): void {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { 'min-dice': { type: 'string', default: '0' } },
  });
  const result = JSON.parse(readFileSync(positionals[0], 'utf8')) as DemoResult;
  const faults = demoFaults(result, { minDice: Number(values['min-dice']) });
  for (const { name, dice, ledger, seconds } of result.jobs ?? []) {
    process.stdout.write(
      `${name}: mean Dice ${dice?.mean?.toFixed(3)}, ${ledger?.verified} epochs verified, ` +
        `${Math.round(seconds)} s\n`,
    );
  }
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  process.exit(faults.length === 0 ? 0 : 1);
}

if (resolve(process.argv[1] ?? '') === import.meta.filename) main();
