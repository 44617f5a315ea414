// Jobs: on an engine that the service itself asks over HTTP, and on one that agents ask for it.

import { expect, vi } from 'vitest';
import { drawPlan } from '../../api/weights/draws.ts';
import { ledgerDigest } from '../../api/weights/ledger.ts';
import { fakeImage } from '../support/fake-aws-batch.ts';
import type { Caller } from './calls.ts';
import { type Chain, reason, type Step } from './chain.ts';
import { sseEvents } from './streams.ts';

const settings = { epochs: 2, drawsPerEpoch: 8, batchSize: 2 };
const seed = 7;
const asked = ({ known }: Chain, target: string) => ({
  snapshot: known.snapshot,
  target,
  image: target === 'cloud' ? fakeImage : undefined,
  seed,
  settings,
  resources: { gpus: { count: 1 }, cpus: 2, memoryMiB: 4096 },
  reason,
});

async function lookAtTargets({ admin }: Chain): Promise<void> {
  const { items } = await admin.must(200, 'GET', '/v1/targets');
  expect(items.map(({ name }: { name: string }) => name)).toEqual(['cloud', 'cluster']);
  const { findings } = await admin.must(200, 'GET', '/v1/targets/cloud/check');
  const faults = findings.filter(({ severity }: { severity: string }) => severity !== 'ok');
  expect([findings.length > 0, faults]).toEqual([true, []]);
}

async function launch(chain: Chain): Promise<void> {
  const { stack, known } = chain;
  const launcher = await chain.person('launcher');
  const body = asked(chain, 'cloud');
  const dry = await launcher.must(200, 'POST', '/v1/jobs', { ...body, dryRun: true });
  expect([dry.request.job.jobQueue, stack.engine.jobs]).toEqual(['gpu', []]);
  const headers = { 'idempotency-key': 'launched once' };
  const first = await launcher.send('POST', '/v1/jobs', { body, headers });
  const again = await launcher.send('POST', '/v1/jobs', { body, headers });
  expect([first.status, again.status, again.headers.get('idempotency-replayed')]).toEqual([
    201,
    201,
    'true',
  ]);
  const job = (await first.json()) as { id: string };
  expect(((await again.json()) as { id: string }).id).toBe(job.id);
  expect(stack.engine.jobs).toHaveLength(1);
  known.job = job.id;
}

/** The token that the engine was given for the newest job. */
function engineToken({ stack }: Chain): string {
  const { environment } = stack.engine.jobs.at(-1)?.body.containerOverrides ?? {};
  return environment.find(({ name }: { name: string }) => name === 'CW_TOKEN').value;
}

async function train(trainer: Caller, chain: Chain): Promise<void> {
  const job = await trainer.must(200, 'GET', '/v1/trainer/job');
  expect([job.seed, job.snapshot.digest]).toEqual([seed, chain.known.snapshot]);
  const accept = { headers: { accept: 'application/json' } };
  const response = await trainer.send('GET', '/v1/trainer/snapshot', accept);
  const { cases } = (await response.json()) as { cases: { id: string; drawUnits: string }[] };
  const all = (await (await trainer.send('GET', '/v1/trainer/cases')).text()).trimEnd();
  const sides = all.split('\n').map((line) => JSON.parse(line));
  const train = sides.filter(({ side }) => side === 'train').map(({ id }) => id);
  expect(train).toEqual(cases.map(({ id }) => id));
  const drawUnits = cases.map((one) => Number(one.drawUnits));
  for (const epoch of [0, 1]) {
    const digest = chain.known.snapshot;
    const plan = drawPlan({ digest, drawUnits, seed, epoch, drawsPerEpoch: 8 });
    const ids = Array.from(plan, (place) => cases[place].id);
    const ledger = [{ epoch, snapshot: digest, from: 0, draws: 8, digest: ledgerDigest(ids) }];
    const report = {
      sequence: epoch,
      metrics: [{ name: 'loss', value: 1 - epoch / 2, step: 4 * epoch, epoch }],
      ledger,
      caseLosses: [{ id: ids[0], loss: 0.5, seen: 1 }],
      log: `epoch ${epoch}\n`,
      progress: { step: 4 * (epoch + 1), steps: 8 },
    };
    const answer = await trainer.must(200, 'POST', '/v1/trainer/reports', report);
    expect(answer).toMatchObject({ accepted: true, stop: false });
    await trainer.must(200, 'POST', '/v1/trainer/reports', report);
  }
}

const finish = (trainer: Caller) =>
  trainer.must(200, 'POST', '/v1/trainer/finish', {
    outcome: 'succeeded',
    summary: { dice: { organ: 0.9, lesion: 0.4, mean: 0.65 }, steps: 8 },
    artifacts: [{ name: 'checkpoint', path: 'final', sha256: 'b'.repeat(64), bytes: 12 }],
  });

/** Ticks until a job is in a state. Engines are asked once a second at most. */
async function ticksUntil({ stack, admin }: Chain, id: string, state: string): Promise<void> {
  await vi.waitFor(
    async () => {
      await stack.tick();
      expect(await admin.must(200, 'GET', `/v1/jobs/${id}`)).toMatchObject({ state });
    },
    { timeout: 20_000, interval: 300 },
  );
}

async function trainOnEngine(chain: Chain): Promise<void> {
  const { stack, admin, known } = chain;
  const trainer = chain.calls.as(engineToken(chain));
  await admin.must(401, 'GET', '/v1/trainer/job');
  stack.engine.jobs[0].status = 'RUNNING';
  await train(trainer, chain);
  await ticksUntil(chain, known.job, 'running');
  await finish(trainer);
  stack.engine.jobs[0].status = 'SUCCEEDED';
  await ticksUntil(chain, known.job, 'succeeded');
  const path = `/v1/jobs/${known.job}`;
  const job = await admin.must(200, 'GET', path);
  expect(job.verifiedDraws).toEqual({ verified: 2, partial: 0, mismatch: 0 });
  const metrics = await admin.must(200, 'GET', `${path}/metrics?name=loss`);
  expect(metrics.items.map(({ value }: { value: number }) => value)).toEqual([1, 0.5]);
  expect(await admin.must(200, 'GET', `${path}/log`)).toBe('epoch 0\nepoch 1\n');
  await trainer.must(409, 'POST', '/v1/trainer/reports', { sequence: 2 });
}

async function followEvents({ admin, known }: Chain): Promise<void> {
  const path = `/v1/jobs/${known.job}/events`;
  const { items } = await admin.must(200, 'GET', `${path}?limit=500`);
  const headers = { accept: 'text/event-stream' };
  const all = await sseEvents(await admin.send('GET', path, { headers }));
  expect(all.map(({ id }) => Number(id))).toEqual(
    items.map(({ sequence }: { sequence: number }) => sequence),
  );
  const later = { ...headers, 'last-event-id': all[1].id };
  const rest = await sseEvents(await admin.send('GET', path, { headers: later }));
  expect(rest).toEqual(all.slice(2));
}

async function cancelAndRetry(chain: Chain): Promise<void> {
  const { stack } = chain;
  const launcher = await chain.person('launcher');
  const { id } = await launcher.must(201, 'POST', '/v1/jobs', asked(chain, 'cloud'));
  const running = chain.calls.as(engineToken(chain));
  await launcher.must(200, 'POST', `/v1/jobs/${id}/cancel`, { reason });
  const first = stack.engine.jobs[stack.engine.jobs.length - 1];
  expect(first.more.isTerminated).toBe(true);
  Object.assign(first, { status: 'FAILED', more: { isTerminated: true, statusReason: 'user' } });
  await ticksUntil(chain, id, 'cancelled');
  await launcher.must(200, 'POST', `/v1/jobs/${id}/retry`, { reason });
  await running.must(409, 'POST', '/v1/trainer/reports', { sequence: 0 });
  expect(stack.engine.jobs.at(-1)).toMatchObject({ jobName: `cw-${id}-2`, status: 'SUBMITTED' });
  chain.known.running = id;
}

async function trainByAgent(chain: Chain): Promise<void> {
  const launcher = await chain.person('launcher');
  const agent = await chain.person('agent');
  const { id } = await launcher.must(202, 'POST', '/v1/jobs', asked(chain, 'cluster'));
  const claim = { agent: 'one', version: '1', findings: [] };
  const work = await agent.must(200, 'POST', '/v1/agents/cluster/claim', claim);
  const launchKey = `cw-${id}-1`;
  expect(work.attempts).toMatchObject([{ id: launchKey, handle: null, ended: false }]);
  const tell = (body: object) =>
    agent.must(200, 'POST', `/v1/agents/attempts/${launchKey}/state`, { agent: 'one', ...body });
  const { launch: given } = await tell({ observation: { state: 'notFound' } });
  await tell({ handle: { launchKey }, observation: { state: 'running' } });
  const trainer = chain.calls.as(given.token);
  await train(trainer, chain);
  await finish(trainer);
  await tell({ observation: { state: 'exited', exit: { code: 0, signal: null } } });
  await ticksUntil(chain, id, 'succeeded');
  const { findings } = await chain.admin.must(200, 'GET', '/v1/targets/cluster/check');
  expect(findings[0].detail).toContain('agent one');
  const both = `/v1/jobs/compare?ids=${chain.known.job},${id}`;
  expect((await chain.admin.must(200, 'GET', both)).items).toHaveLength(2);
}

async function launchAlias(chain: Chain): Promise<void> {
  const { snapshot: _, ...body } = asked(chain, 'cluster');
  const launcher = await chain.person('launcher');
  const batch = { ...body, dataset: 'liver', alias: 'production' };
  const made = await launcher.must(202, 'POST', '/v1/jobs', batch);
  expect(made.items).toHaveLength(1);
  await launcher.must(200, 'POST', `/v1/jobs/${made.items[0].id}/cancel`, { reason });
}

export const jobSteps: Step[] = [
  ['launch targets are listed and found sound', lookAtTargets],
  ['a job is launched once under one key, after a dry run that launches nothing', launch],
  ['its trainer reads, reports and finishes, and its draws are verified', trainOnEngine],
  ['its events are a list, and a stream that goes on where it was left', followEvents],
  ['a job is cancelled on its engine and tried again with a new token', cancelAndRetry],
  ['agents claim, launch and end a job of a target that nothing here reaches', trainByAgent],
  ['an alias launches a job for each of its folds', launchAlias],
];
