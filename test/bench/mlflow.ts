// MLflow's tracking server as a peer, in its best settings: jobs of its own off, as many workers as
// the load wants, its tables on a Postgres of the same kind as ours or in SQLite.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../support/free-port.ts';
import { startPostgres } from '../support/postgres.ts';
import { type Sent, sendOne } from './load.ts';

export type MlflowServer = {
  url: string;
  /** Ids of runs to log to, one for each client. */
  runs: string[];
  stop: () => Promise<void>;
};

export type MlflowStore = 'sqlite' | 'postgres';

/** The Python of CW_BENCH_PYTHON, and which MLflow it has; null where it has none. */
export function mlflowVersion(python: string): string | null {
  const asked = spawnSync(python, ['-c', 'import mlflow, psycopg2; print(mlflow.__version__)'], {
    encoding: 'utf8',
  });
  return asked.status === 0 ? asked.stdout.trim() : null;
}

/** Starts a server with so many workers, and runs to log to. */
export async function startMlflow({
  python,
  store,
  workers,
  runs,
}: {
  python: string;
  store: MlflowStore;
  workers: number;
  runs: number;
}): Promise<MlflowServer> {
  const work = mkdtempSync(join(tmpdir(), 'counterweight-mlflow-'));
  const cluster = store === 'postgres' ? await startPostgres({ durable: true, empty: true }) : null;
  const port = await freePort();
  const child = spawn(
    python,
    [
      ...['-m', 'mlflow', 'server', '--host', '127.0.0.1', '--port', String(port)],
      ...['--workers', String(workers)],
      ...[
        '--backend-store-uri',
        cluster?.urls.owner.replace('postgres:', 'postgresql+psycopg2:') ??
          `sqlite:///${join(work, 'mlflow.db')}`,
      ],
      ...['--default-artifact-root', join(work, 'artifacts')],
    ],
    {
      cwd: work,
      detached: true,
      stdio: 'ignore',
      env: {
        ...process.env,
        MLFLOW_SERVER_ENABLE_JOB_EXECUTION: 'false',
        MLFLOW_DISABLE_TELEMETRY: 'true',
        DO_NOT_TRACK: 'true',
      },
    },
  );
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null) {
      process.kill(-(child.pid as number), 'SIGKILL');
      await ended;
    }
    await cluster?.stop();
    rmSync(work, { recursive: true, force: true });
  };
  try {
    await listens(url, () => child.exitCode);
    return { url, runs: await makeRuns(url, runs), stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}

async function listens(url: string, exitCode: () => number | null): Promise<void> {
  for (let tries = 0; tries < 600; tries++) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.ok) return;
    if (exitCode() !== null) throw new Error(`mlflow server ended with ${exitCode()}`);
    await sleep(200);
  }
  throw new Error('MLflow did not start within two minutes');
}

async function makeRuns(url: string, count: number): Promise<string[]> {
  const agent = new Agent();
  const runs: string[] = [];
  for (let k = 0; k < count; k++) {
    const body = JSON.stringify({ experiment_id: '0', start_time: Date.now() });
    const sent = { url: `${url}/api/2.0/mlflow/runs/create`, method: 'POST', headers: json, body };
    runs.push(JSON.parse(await sendOne(sent, agent)).run.info.run_id);
  }
  return runs;
}

const json = { 'content-type': 'application/json' };

/** A batch of metrics as MLflow takes it. */
export function logBatch(
  { url, runs }: MlflowServer,
  client: number,
  points: { name: string; value: number; step: number }[],
): Sent {
  const timestamp = Date.now();
  const metrics = points.map(({ name, ...point }) => ({ key: name, ...point, timestamp }));
  const body = JSON.stringify({ run_id: runs[client], metrics });
  return { url: `${url}/api/2.0/mlflow/runs/log-batch`, method: 'POST', headers: json, body };
}

/** The series of one metric, in one answer. */
export function history({ url }: MlflowServer, run: string, name: string, count: number): Sent {
  const query = `run_id=${run}&metric_key=${name}&max_results=${count}`;
  const path = '/api/2.0/mlflow/metrics/get-history';
  return { url: `${url}${path}?${query}`, method: 'GET', headers: {} };
}
