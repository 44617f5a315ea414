// Jobs of the measured service that wait to be reported for: their trainer writes its token into
// its folder and sleeps, and whoever measures reports in its place.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from '../../api/contract/jobs.ts';
import { frozenSnapshot } from '../support/builders.ts';
import { sendingOver } from '../support/sending.ts';
import { type MeasuredService, startMeasured } from './measured-service.ts';

export type ReportingJob = { id: string; token: string };

export type ReportingService = MeasuredService & { jobs: ReportingJob[] };

const keepToken = 'printf %s "$CW_TOKEN" > "$TOKENS/$CW_JOB"; exec sleep 86400';

/** The service on Postgres with fsync, with so many jobs that run. */
export async function startReportingJobs(count: number): Promise<ReportingService> {
  const service = await startMeasured({
    postgres: true,
    // A trainer of its own stays far below its budget; and MLflow writes no line a request either.
    environment: { CW_RATE_LIMITS: 'off', CW_LOG: 'warn' },
    targets: (dataDir) => [
      {
        name: 'local',
        engine: 'local',
        dataPaths: { phantom: dataDir },
        command: ['/bin/sh', '-c', keepToken],
        environment: { TOKENS: dataDir },
      },
    ],
  });
  const { client, dataDir } = service;
  const { snapshot } = await frozenSnapshot(sendingOver(client));
  const jobs: ReportingJob[] = [];
  for (let seed = 0; seed < count; seed++) {
    const settings = { epochs: 1, drawsPerEpoch: 8, batchSize: 2 };
    const body = { snapshot: snapshot.digest, target: 'local', seed, settings, reason: 'bench' };
    const { id } = await client.create<Job>('/v1/jobs', body);
    const file = join(dataDir, id);
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(50);
    jobs.push({ id, token: readFileSync(file, 'utf8') });
  }
  const stop = async () => {
    for (const { id } of jobs) await client.call('POST', `/v1/jobs/${id}/cancel`);
    const ended = async (id: string) =>
      (await client.call<Job>('GET', `/v1/jobs/${id}`)).state === 'cancelled';
    for (const { id } of jobs) while (!(await ended(id))) await sleep(200);
    await service.stop();
  };
  return { ...service, jobs, stop };
}
