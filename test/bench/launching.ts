// launching [--postgres] [--json FILE]: what a tick takes, by jobs that live quietly and by jobs
// that have ended. Rows are copied in the database; the engine answers from memory.

import { copyJob, quietJob } from '../support/copied-jobs.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { type BenchRow, benchRow, printRows, writeRows } from './report.ts';

const liveCounts = [0, 50, 200, 1_000];
const endedCounts = [0, 1_000, 10_000];
const ticks = 25;

/**
 * Milliseconds of a tick, the median of many: of CPU on PGlite, which works in this process, so
 * that a busy machine does not count.
 */
async function tickMs(test: JobTest): Promise<number> {
  const inProcess = test.database.kind === 'pglite';
  const cpuMs = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  const clock = inProcess ? cpuMs : () => performance.now();
  for (let k = 0; k < 5; k++) await test.tick();
  const times: number[] = [];
  for (let k = 0; k < ticks; k++) {
    const startedAt = clock();
    await test.tick();
    times.push(clock() - startedAt);
  }
  return times.sort((a, b) => a - b)[Math.floor(ticks / 2)];
}

async function measure(test: JobTest, analyze: () => Promise<void>): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  const none = await tickMs(test);
  const id = await quietJob(test);
  let live = 1;
  let ended = 0;
  for (const endedCount of endedCounts) {
    await copyJob(test, id, { from: 10_000_000 + ended, count: endedCount - ended, ended: true });
    ended = endedCount;
    for (const liveCount of endedCount === 0 ? liveCounts : [liveCounts.at(-1) as number]) {
      if (liveCount > live) {
        await copyJob(test, id, { from: live, count: liveCount - live, ended: false });
        live = liveCount;
      }
      await analyze();
      const value = liveCount === 0 ? none : await tickMs(test);
      const first = ended === 0 ? none : (rows.at(liveCounts.length - 1)?.value ?? none);
      const peer = ended === 0 ? 'no job' : `${live} live jobs alone`;
      const name = `tick, ${liveCount} live and ${ended} ended jobs`;
      rows.push(benchRow({ name, value, unit: 'ms', peer, peerValue: first }));
    }
  }
  return rows;
}

/** Measures ticks and prints them as ratios of one run. */
export async function launching(args: string[]): Promise<void> {
  const cluster: TestPostgres | null = args.includes('--postgres')
    ? await startPostgres({ durable: true })
    : null;
  const test = await openJobTest({}, cluster?.database);
  // As autovacuum does sooner or later: what Postgres then knows changes how it reads.
  const owner = cluster?.owner ?? test.database;
  const rows = await measure(test, () => owner.script('analyze'));
  printRows(rows);
  const file = args[args.indexOf('--json') + 1];
  if (args.includes('--json')) writeRows(file, rows, { database: test.database.kind });
  await (cluster === null ? test.database.close() : cluster.stop());
}
