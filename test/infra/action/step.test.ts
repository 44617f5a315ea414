// The bundle as a runner starts it, against the real service: what it launches, waits for, says and
// leaves behind, and with which exit code.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ActionTest, dice, groups, openActionTest } from '../../support/action.ts';
import {
  endSteps,
  pullRequestEvent,
  type RunnerOptions,
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

/** A run of its own, so that no two tests share a key. */
function options(inputs: Record<string, string> = {}, more: Partial<RunnerOptions> = {}) {
  const env = { GITHUB_RUN_ID: String(1_000 + run), ...more.env };
  return { ...more, env, inputs: { ...api.inputs, ...inputs } };
}

/** Starts a step and waits until it has launched so many jobs. */
async function launched(given: RunnerOptions, count = 1): Promise<Running & { ids: string[] }> {
  const before = api.jobIds().length;
  const step = startAction(given);
  const ids = () => api.jobIds().slice(before);
  await vi.waitFor(() => expect([ids().length, step.log()]).toEqual([count, step.log()]), 20_000);
  return { ...step, ids: ids() };
}

const seen = (step: Running, text: string) =>
  vi.waitFor(() => expect(step.log()).toContain(text), 20_000);

describe('a step that waits', () => {
  test('ends with its job: outputs, and a summary of Dice, draws and what changed', async () => {
    const step = await launched(options({ 'fail-if': 'dice.mean < 0.7' }));
    const [id] = step.ids;
    await api.succeed(id);
    const ran = await step.done;
    expect([ran.code, ran.annotations]).toEqual([0, []]);
    const { metrics, ...outputs } = ran.outputs;
    expect(outputs).toEqual({
      state: 'succeeded',
      'job-id': id,
      'job-ids': JSON.stringify([id]),
      'job-url': `${api.url}/v1/jobs/${id}`,
      'snapshot-digest': api.snapshot,
      'snapshot-digests': JSON.stringify({ 0: api.snapshot }),
    });
    const verifiedDraws = { verified: 2, partial: 0, mismatch: 0 };
    const fold = { fold: '0', job: id, state: 'succeeded', dice, groups, verifiedDraws };
    expect(JSON.parse(metrics)).toEqual({ dice, folds: [fold] });
    expect(ran.summary).toContain('## Counterweight: succeeded');
    expect(ran.summary).toContain(`<a href="${api.url}/v1/jobs/${id}">`);
    expect(ran.summary).toContain('| 0.7500 | 2 verified, 0 partial, 0 mismatch |');
    expect(ran.summary).toContain('| site=A | 0.9500 | - | 0.9500 |');
    expect(ran.summary).toContain('against production at move 1');
    expect(ran.summary).toContain('**The objective differs**: target by 0.1250');
    expect(ran.summary).toMatch(/effective fraction \d+\.\d % → \d+\.\d %/);
    expect(ran.summary).toContain('| site=B | ');
    expect(ran.summary).toContain('+        "name": "rare"');
    expect(ran.masked).toEqual([api.token]);
    expect(ran.log).toContain('::group::Launch\n');
    expect(ran.log).toContain(`job ${id}: succeeded\n`);
    expect(ran.state.jobs).toBe('[]');
  });

  test('says why in the audit chain: workflow, event, ref, and where the run is', async () => {
    const step = await launched(options());
    const { launchReason } = await api.read(step.ids[0]);
    expect(launchReason).toBe(
      `GitHub workflow train, push of refs/heads/main at c040cae0f0dc by octocat: https://github.com/octo-lab/segmentation/actions/runs/${1_000 + run}/attempts/1`,
    );
    await api.succeed(step.ids[0]);
    expect((await step.done).code).toBe(0);
  });

  test('of several folds has a table for each, and their mean', async () => {
    const step = await launched(options({ folds: '', 'fail-if': 'mean(dice.mean) < 0.7' }), 2);
    for (const [place, id] of step.ids.entries()) {
      await api.succeed(id, { dice: { organ: 0.8 + place / 10, mean: 0.6 + place * 0.3 } });
    }
    const ran = await step.done;
    expect([ran.code, ran.outputs.state]).toEqual([0, 'succeeded']);
    const { dice: mean, folds } = JSON.parse(ran.outputs.metrics);
    expect([mean.mean.toFixed(4), folds.map((one: any) => one.fold)]).toEqual([
      '0.7500',
      ['0', '1'],
    ]);
    expect(JSON.parse(ran.outputs['job-ids'])).toEqual(step.ids);
    expect(Object.keys(JSON.parse(ran.outputs['snapshot-digests']))).toEqual(['0', '1']);
    for (const heading of ['Dice, fold 0', 'Dice, fold 1', 'Dice, mean over the folds']) {
      expect(ran.summary).toContain(`### ${heading}\n`);
    }
    expect(ran.summary).toContain('the first snapshot of production for this fold');
  });

  test('fails where a gate is not met, and says which and by how much', async () => {
    const conditions = 'dice.lesion < 0.7\ndice.mean < 0.7';
    const step = await launched(options({ 'fail-if': conditions }));
    await api.succeed(step.ids[0]);
    const ran = await step.done;
    expect([ran.code, ran.outputs.state]).toEqual([4, 'succeeded']);
    const message = 'gate not met: dice.lesion is 0.6000, under 0.7';
    expect(ran.annotations).toEqual([{ kind: 'error', title: null, message }]);
    expect(ran.summary).toContain('> gate not met: dice.lesion is 0.6000, under 0.7');
  });

  test('gates on every fold and on their mean, each by name', async () => {
    const conditions = 'dice.mean < 0.7\nmean(dice.mean) < 0.8';
    const step = await launched(options({ folds: '0,1', 'fail-if': conditions }), 2);
    await api.succeed(step.ids[0], { dice: { mean: 0.9 } });
    await api.succeed(step.ids[1], { dice: { mean: 0.6 } });
    const ran = await step.done;
    expect(ran.code).toBe(4);
    expect(ran.annotations[0].message.split('\n')).toEqual([
      'fold 1: gate not met: dice.mean is 0.6000, under 0.7',
      'mean over the folds: gate not met: dice.mean is 0.7500, under 0.8',
    ]);
  });

  test('fails with its job, and does not speak of gates then', async () => {
    const step = await launched(options({ 'fail-if': 'dice.mean < 0.7' }));
    await api.fail(step.ids[0]);
    const ran = await step.done;
    expect([ran.code, ran.outputs.state]).toEqual([1, 'failed']);
    expect(ran.annotations.map(({ message }) => message)).toEqual([
      expect.stringMatching(/^job \w+ failed \(user: .*exit code 7/),
    ]);
  });

  test('waits for a service that is away for a while, and says so once', async () => {
    const step = await launched(options());
    await seen(step, '::group::Job');
    let refused = 0;
    api.meddle(() => {
      refused += 1;
      const headers = { 'retry-after': '0' };
      return refused > 6 ? undefined : new Response('away', { status: 503, headers });
    });
    await vi.waitFor(() => expect(refused).toBeGreaterThan(6), 40_000);
    await seen(step, 'the service answers again');
    await api.succeed(step.ids[0]);
    const ran = await step.done;
    expect(ran.code).toBe(0);
    expect(ran.log.match(/waiting for it/g)).toHaveLength(1);
  });
});

test('a step that does not wait ends with the launch, and cancels nothing', async () => {
  const step = await launched(options({ wait: 'false', seed: '5' }));
  const ran = await step.done;
  expect([ran.code, ran.outputs.state]).toEqual([0, 'queued']);
  expect((await api.read(step.ids[0])).seed).toBe(5);
  expect(ran.state).toEqual({ begun: 'true' });
});

describe('a launch', () => {
  test('happens once, however often a step of one attempt is run; another attempt launches anew', async () => {
    const given = options({ wait: 'false' });
    const [first, again] = [await runAction(given), await runAction(given)];
    expect(again.outputs['job-id']).toBe(first.outputs['job-id']);
    const next = await runAction({ ...given, env: { ...given.env, GITHUB_RUN_ATTEMPT: '2' } });
    const leg = await runAction(options({ wait: 'false', matrix: '{"seed": 2}' }));
    const ids = [first, next, leg].map(({ outputs }) => outputs['job-id']);
    expect(new Set(ids).size).toBe(3);
    const keys = api.asked.filter(({ path }) => path === '/v1/jobs').map(({ key }) => key);
    expect(keys[0]).toMatch(/^github-424242-\d+-1-[0-9a-f]{16}-[0-9a-f]{16}$/);
    expect(keys[1]).toBe(keys[0]);
    expect(new Set(keys).size).toBe(3);
  });

  test('whose answer is lost is asked for again, and doubles nothing', async () => {
    const before = api.jobIds().length;
    let lost = false;
    api.meddle(async (request) => {
      if (lost || new URL(request.url).pathname !== '/v1/jobs') return undefined;
      lost = true;
      await api.app.fetch(request);
      return new Response('the gateway lost it', { status: 502 });
    });
    const ran = await runAction(options({ wait: 'false' }));
    expect([ran.code, api.jobIds().length]).toEqual([0, before + 1]);
    expect(ran.outputs['job-id']).toBe(api.jobIds().at(-1));
  });

  test('that is refused says each field at its input, and exits as the command line does', async () => {
    const settings = JSON.stringify({ epochs: 0, drawsPerEpoch: 8, batchSize: 2, colour: 'red' });
    const before = api.jobIds().length;
    const ran = await runAction(options({ settings }));
    expect([ran.code, api.jobIds().length]).toEqual([3, before]);
    const titles = ran.annotations.map(({ kind, title }) => [kind, title]);
    expect(titles).toContainEqual(['error', 'Input settings: /settings/epochs']);
    expect(ran.annotations.at(-1)?.message).toContain('/settings/epochs: ');
    expect(ran.outputs).toEqual({});
  });

  test.each([
    [{ 'api-url': 'service' }, 'input api-url: "service" is no address'],
    [{ snapshot: 'x' }, 'input alias: give either snapshot, or dataset and alias'],
    [{ alias: '', folds: '' }, 'input snapshot: give either snapshot, or dataset and alias'],
    [{ target: '' }, 'input target: name a launch target'],
    [{ settings: '{' }, 'input settings: it is not JSON'],
    [{ resources: '[1]' }, 'input resources: a JSON object is needed'],
    [{ wait: 'yes' }, 'input wait: "yes" is neither true nor false'],
    [{ timeout: '6' }, 'input timeout: "6" is no duration, as 30s, 90m or 6h'],
    [{ 'fail-if': 'dice.mean > 0.7' }, 'input fail-if: "dice.mean > 0.7" is no condition'],
    [{ seed: '-1' }, 'input seed: "-1" is no whole number'],
    [{ token: '' }, 'permissions: id-token: write'],
  ])('with %j asks for nothing', async (inputs, message) => {
    const ran = await runAction(options(inputs));
    expect([ran.code, ran.annotations]).toEqual([
      2,
      [{ kind: 'error', title: null, message: expect.stringContaining(message) }],
    ]);
    expect(api.asked).toEqual([]);
  });
});

describe('a dry run', () => {
  test.each([
    ['asked for', { 'dry-run': 'true' }, undefined],
    ['of a pull request', {}, pullRequestEvent()],
    ['of a fork', {}, pullRequestEvent({ fork: true, name: 'pull_request_target' })],
  ])(
    '%s shows the request and what would change, and launches nothing',
    async (_, inputs, event) => {
      const before = api.jobIds().length;
      const ran = await runAction(options({ folds: '0,1', ...inputs }, { event }));
      expect([ran.code, ran.outputs.state, api.jobIds().length]).toEqual([0, 'dryRun', before]);
      const requests = JSON.parse(ran.outputs['dry-run-request']);
      expect(requests.map(({ fold }: any) => fold)).toEqual(['0', '1']);
      expect(requests[0].request.environment).toMatchObject({ CW_DATA: '/images' });
      expect(ran.outputs['job-id']).toBeUndefined();
      expect(ran.summary).toContain('nothing was launched');
      expect(ran.summary).toContain('Native request of fold 1');
      expect(ran.summary).toContain('against production at move 1');
    },
  );

  test('of one snapshot answers one request, and compares with what is named', async () => {
    const { folds: _, dataset: _d, alias: _a, ...rest } = api.inputs;
    const inputs = {
      ...rest,
      snapshot: api.snapshot,
      'compare-to': 'phantom@production',
      'dry-run': 'true',
    };
    const ran = await runAction({ inputs });
    expect(JSON.parse(ran.outputs['dry-run-request'])).toHaveProperty('launchKey');
    expect(ran.outputs['snapshot-digest']).toBe(api.snapshot);
    expect(ran.summary).toContain('against phantom&#64;production:0');
    expect(ran.summary).toContain('The objective is the same.');
  });

  test('of a fork without a token asks for nothing, and says so', async () => {
    const event = pullRequestEvent({ fork: true });
    const ran = await runAction(options({ token: '' }, { event }));
    expect([ran.code, ran.outputs, api.asked]).toEqual([0, { state: 'skipped' }, []]);
    expect(ran.annotations[0]).toMatchObject({ kind: 'notice' });
    expect(ran.summary).toContain('comes from a fork');
  });
});
