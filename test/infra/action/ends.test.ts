// A step that is cut short: signals as a runner sends them, its time-out, and what the step after
// it does where it was killed.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { type ActionTest, openActionTest } from '../../support/action.ts';
import {
  endSteps,
  type Ran,
  type Running,
  runAction,
  startAction,
} from '../../support/action-runner.ts';

let api: ActionTest;
let run = 0;
beforeAll(async () => {
  api = await openActionTest();
});
afterAll(() => api.closeAll());
afterEach(endSteps);
beforeEach(() => {
  api.meddle(null);
  api.asked.length = 0;
  run += 1;
});

const options = (inputs: Record<string, string> = {}, state?: Record<string, string>) => ({
  inputs: { ...api.inputs, ...inputs },
  env: { GITHUB_RUN_ID: String(2_000 + run) },
  state,
});

const seen = (step: Running, text: string) =>
  vi.waitFor(() => expect(step.log()).toContain(text), 20_000);

/** A step whose job is launched and followed. */
async function following(inputs: Record<string, string> = {}): Promise<Running & { id: string }> {
  const count = api.jobIds().length;
  const step = startAction(options(inputs));
  await seen(step, '::group::Job');
  expect(api.jobIds()).toHaveLength(count + 1);
  return { ...step, id: api.jobIds().at(-1) as string };
}

const cancelledOnEngine = (id: string) => api.launcher.launches.get(api.keyOf(id))?.cancelled;
const reasonOf = async (id: string) => {
  const { body } = await api.call('GET', `/v1/audit?subject=job/${id}&action=job.cancelled`);
  return body.items.map(({ reason }: { reason: string }) => reason);
};

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s cancels the job within seven seconds',
  async (signal) => {
    const step = await following();
    const sent = performance.now();
    step.process.kill(signal);
    const ran = await step.done;
    expect(performance.now() - sent).toBeLessThan(7_000);
    expect([ran.code, ran.signal, ran.outputs.state]).toEqual([1, null, 'cancelled']);
    expect(cancelledOnEngine(step.id)).toHaveLength(1);
    expect((await api.read(step.id)).state).toBe('cancelling');
    expect(await reasonOf(step.id)).toEqual([
      `the cancelled workflow: https://github.com/octo-lab/segmentation/actions/runs/${2_000 + run}/attempts/1`,
    ]);
    expect(ran.summary).toContain('## Counterweight: cancelled');
    expect(ran.state.jobs).toBe('[]');
  },
);

test('a second signal while it cancels changes nothing', async () => {
  const step = await following();
  let signals = 0;
  api.meddle((request) => {
    if (!request.url.endsWith('/cancel') || signals > 0) return undefined;
    signals += 1;
    step.process.kill('SIGTERM');
    return new Response('not now', { status: 503 });
  });
  step.process.kill('SIGINT');
  const ran = await step.done;
  expect([ran.code, ran.signal, signals]).toEqual([1, null, 1]);
  expect(cancelledOnEngine(step.id)).toHaveLength(1);
});

test('a cancelled step whose launch is under way waits for its answer, and cancels that job', async () => {
  let step: Running | null = null;
  api.meddle(async (request) => {
    if (request.method !== 'POST' || !request.url.endsWith('/v1/jobs')) return undefined;
    step?.process.kill('SIGINT');
    return await api.app.fetch(request);
  });
  step = startAction(options({ wait: 'false' }));
  const ran = await step.done;
  const id = api.jobIds().at(-1) as string;
  expect([ran.code, ran.outputs.state]).toEqual([1, 'cancelled']);
  expect(cancelledOnEngine(id)).toHaveLength(1);
});

test('at the time-out the job is cancelled, and the step exits as the command line does', async () => {
  const step = await following({ timeout: '0.5s' });
  const ran = await step.done;
  expect([ran.code, ran.outputs.state]).toEqual([5, 'timedOut']);
  expect(ran.annotations.map(({ message }) => message)).toEqual([
    `${step.id} cancelled because of the time-out of 0.5 s`,
  ]);
  expect(cancelledOnEngine(step.id)).toHaveLength(1);
  expect((await reasonOf(step.id))[0]).toContain('the time-out of 0.5 s: https://github.com/');
});

test('a job that had ended meanwhile is no fault of cancelling', async () => {
  const step = await following({ poll: '1h' });
  await api.succeed(step.id);
  step.process.kill('SIGINT');
  const ran = await step.done;
  expect(ran.outputs.state).toBe('cancelled');
  expect(ran.annotations.map(({ message }) => message)).toEqual([
    'nothing cancelled because of the cancelled workflow',
  ]);
});

test('where a step was killed, the one after it cancels the job with a fresh look', async () => {
  const step = await following();
  step.process.kill('SIGKILL');
  const killed = await step.done;
  expect(JSON.parse(killed.state.jobs)).toEqual([step.id]);
  expect(cancelledOnEngine(step.id)).toEqual([]);
  const after: Ran = await runAction(options({}, killed.state));
  expect(after.code).toBe(0);
  expect(cancelledOnEngine(step.id)).toHaveLength(1);
  expect((await reasonOf(step.id))[0]).toContain('its step ended before it did');
});

test('after a step that came to its end, nothing is asked', async () => {
  const after = await runAction(options({}, { begun: 'true', jobs: '[]' }));
  expect([after.code, after.log, api.asked]).toEqual([0, '', []]);
});
