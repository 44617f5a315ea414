// What a session of a workflow run may do: launch from its alias, watch and cancel its own jobs,
// read what that needs. Everything else is refused, whichever route it is.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/app.ts';
import type { Sending } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { type GithubTest, launchBody, openGithubTest } from '../support/github.ts';
import { pullRequest } from '../support/github-issuer.ts';

let api: GithubTest;
let policy: { id: string };
let run: Sending;
beforeAll(async () => {
  api = await openGithubTest();
  policy = await api.policy({ targets: ['local'] });
  run = await api.run();
});
afterAll(() => api.closeAll());

const freeze = async (fold: number): Promise<{ id: string; digest: string }> => {
  const body = { version: 1, split: 'five-fold', fold, ruleSet: 'rare@1', reason: 'next' };
  return await must(api, 201, 'POST', '/v1/datasets/phantom/snapshots', body);
};
const launch = async (by: Sending, body: object = {}) =>
  await by.call('POST', '/v1/jobs', { ...launchBody, ...body });
const refusal = async (answer: Promise<{ status: number; body: any }>) => {
  const { status, body } = await answer;
  expect([status, body.detail]).toEqual([403, expect.stringContaining('This session of a GitHub')]);
  return body.detail as string;
};

describe('launching', () => {
  test('by the alias, by where it stands, and by folds of it', async () => {
    const { id } = (await must(api, 200, 'GET', `/v1/snapshots/${api.snapshot}`)) as never;
    for (const snapshot of ['phantom@production:0', 'phantom@production', api.snapshot, id]) {
      expect([snapshot, (await launch(run, { snapshot })).status]).toEqual([snapshot, 201]);
    }
    const { snapshot: _, ...folds } = { ...launchBody, dataset: 'phantom', alias: 'production' };
    expect((await run.call('POST', '/v1/jobs', folds)).status).toBe(201);
    expect((await launch(run, { dryRun: true })).status).toBe(200);
  });

  test('leaves the run and its claims in the audit entry, and its name on the job', async () => {
    const { body } = await launch(run);
    const actor = 'github:octo-lab/segmentation@refs/heads/main (run 123/1, by octocat)';
    expect(body.createdBy).toBe(actor);
    const { items } = await must(api, 200, 'GET', `/v1/audit?subject=job/${body.id}`);
    expect(items).toMatchObject([
      {
        actor,
        action: 'job.launched',
        reason: 'pushed',
        detail: { github: { repository_id: '424242', run_id: '123', actor_id: '1001' } },
      },
    ]);
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('from anything else is refused, and nothing is launched', async () => {
    const unaliased = await freeze(1);
    const moved = { snapshots: { 1: unaliased.digest }, reason: 'another' };
    await must(api, 201, 'PUT', '/v1/datasets/phantom/aliases/candidate', moved);
    const before = api.launcher.launches.size;
    for (const snapshot of [
      'phantom@candidate:1',
      'other@production:0',
      unaliased.digest,
      unaliased.id,
      `sha256:${'0'.repeat(64)}`,
    ]) {
      await refusal(launch(run, { snapshot }));
    }
    const { snapshot: _, ...rest } = launchBody;
    await refusal(
      run.call('POST', '/v1/jobs', { ...rest, dataset: 'phantom', alias: 'candidate' }),
    );
    await refusal(run.call('POST', '/v1/jobs', { ...rest, dataset: 'other', alias: 'production' }));
    await refusal(launch(run, { target: 'elsewhere' }));
    await refusal(launch(run, { acceptWithdrawn: true }));
    expect(api.launcher.launches.size).toBe(before);
  });

  test('by what the alias stood on before it moved is refused; that can still be read', async () => {
    const zero = api.snapshot;
    const second = await freeze(2);
    const alias = '/v1/datasets/phantom/aliases/moving';
    await must(api, 201, 'PUT', alias, { snapshots: { 0: zero }, reason: 'first' });
    await must(api, 200, 'PUT', alias, { snapshots: { 2: second.digest }, reason: 'then' });
    const made = await api.policy({ refs: ['refs/heads/moving'], aliases: ['moving'] });
    const moving = await api.run({ ref: 'refs/heads/moving' });
    await refusal(launch(moving, { snapshot: zero }));
    expect((await launch(moving, { snapshot: second.digest })).status).toBe(201);
    for (const path of [zero, second.id, `${zero}/diff/phantom@moving:2`, `${second.id}/shares`]) {
      const { status } = await moving.call('GET', `/v1/snapshots/${path}`);
      expect([path, status]).toEqual([path, 200]);
    }
    await refusal(moving.call('GET', `/v1/snapshots/${zero}/diff/phantom@production:0`));
    await must(api, 200, 'DELETE', `/v1/github/policies/${made.id}`);
  });

  test('what cannot be read is answered as for anybody else', async () => {
    const { status, body } = await launch(run, { seed: 'x' });
    expect([status, body.errors[0].pointer]).toEqual([422, '/seed']);
    expect(
      (await run.call('POST', '/v1/jobs', '{', { 'content-type': 'application/json' })).status,
    ).toBe(400);
    expect((await launch(run, { snapshot: 'phantom@production:9' })).status).toBe(404);
    expect((await launch(run, { image: 'a@sha256:1' })).status).toBe(422);
  });
});

describe('a session of a pull request', () => {
  test('sees the native request and launches nothing, nor by a key that another run used', async () => {
    const own = { refs: ['refs/pull/*'], events: ['pull_request'] };
    const made = await api.policy(own);
    const { session, ...pull } = await api.run(pullRequest);
    expect(session.dryRunOnly).toBe(true);
    const key = { 'idempotency-key': 'of-the-push' };
    expect((await run.call('POST', '/v1/jobs', launchBody, key)).status).toBe(201);
    const before = api.launcher.launches.size;
    expect(await refusal(launch(pull))).toContain('dryRun: true');
    await refusal(launch(pull, { dryRun: false }));
    await refusal(pull.call('POST', '/v1/jobs', launchBody, key));
    const dry = await launch(pull, { dryRun: true });
    expect([dry.status, Object.keys(dry.body)]).toEqual([200, ['request']]);
    expect(api.launcher.launches.size).toBe(before);
    await must(api, 200, 'DELETE', `/v1/github/policies/${made.id}`);
  });
});

describe('the jobs of a run', () => {
  const views = ['', '/events', '/metrics', '/log', '/ledger', '/artifacts'];

  test('are watched and cancelled by it, also with a session that it renewed', async () => {
    const { body: job } = await launch(run);
    const renewed = await api.run({ run_attempt: '2' });
    for (const view of views) {
      const { status } = await renewed.send('GET', `/v1/jobs/${job.id}${view}`);
      expect([view, status]).toEqual([view, 200]);
    }
    const cancelled = await renewed.call('POST', `/v1/jobs/${job.id}/cancel`, {});
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelling']);
  });

  test('are none of another run, of another policy, or of a person', async () => {
    const { body: own } = await launch(run);
    const other = await api.run({ run_id: '124' });
    const second = await api.policy({ refs: ['refs/heads/second'] });
    const elsewhere = await api.run({ ref: 'refs/heads/second' });
    const ofAdmin = await api.launch();
    const asked: [Sending, string][] = [
      [other, own.id],
      [elsewhere, own.id],
      [run, ofAdmin.id],
      [run, 'nothing'],
    ];
    for (const [by, id] of asked) {
      for (const view of views) await refusal(by.call('GET', `/v1/jobs/${id}${view}`));
      await refusal(by.call('POST', `/v1/jobs/${id}/cancel`, {}));
    }
    expect((await api.read(own.id)).state).toBe((await api.read(ofAdmin.id)).state);
    await must(api, 200, 'DELETE', `/v1/github/policies/${second.id}`);
  });
});

describe('a session', () => {
  test('reads its dataset, its alias, and its target, and no others', async () => {
    await must(api, 201, 'POST', '/v1/datasets', { name: 'liver', attributes: {} });
    const { body: dataset } = await api.call('GET', '/v1/datasets/phantom');
    for (const path of [
      '/v1/datasets/phantom',
      `/v1/datasets/${dataset.id}`,
      '/v1/datasets/phantom/aliases/production',
      '/v1/snapshots/phantom%40production%3A0',
      '/v1/targets/local/check',
    ]) {
      expect([path, (await run.call('GET', path)).status]).toEqual([path, 200]);
    }
    for (const path of [
      '/v1/datasets/liver',
      '/v1/datasets/nothing',
      '/v1/datasets/liver/aliases/production',
      '/v1/datasets/phantom/aliases/other',
      '/v1/snapshots/liver@production:0',
      '/v1/snapshots/liver%40production%3A0',
      '/v1/targets/other/check',
    ]) {
      await refusal(run.call('GET', path));
    }
  });

  test('is refused on every route that has no row for it', async () => {
    const allowed = [
      'POST /v1/jobs',
      'GET /v1/jobs/{id}',
      'POST /v1/jobs/{id}/cancel',
      'GET /v1/jobs/{id}/events',
      'GET /v1/jobs/{id}/metrics',
      'GET /v1/jobs/{id}/log',
      'GET /v1/jobs/{id}/ledger',
      'GET /v1/jobs/{id}/artifacts',
      'GET /v1/datasets/{dataset}',
      'GET /v1/datasets/{dataset}/aliases/{alias}',
      'GET /v1/snapshots/{snapshot}',
      'GET /v1/snapshots/{snapshot}/shares',
      'GET /v1/snapshots/{a}/diff/{b}',
      'GET /v1/targets/{name}/check',
    ];
    const { paths = {} } = openApiDocument(api.app, 'test') as { paths?: object };
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods as Record<string, { security?: unknown[] }>)
        .filter(([, { security }]) => security === undefined && !path.startsWith('/v1/trainer/'))
        .map(([method]) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes).toEqual(expect.arrayContaining(allowed));
    const closed = routes.filter((route) => !allowed.includes(route));
    expect(closed.length).toBeGreaterThan(40);
    for (const route of closed) {
      const [method, path] = route.split(' ');
      const asked = path.replaceAll('{n}', '1').replaceAll('{dataset}', 'phantom');
      const body = method === 'GET' ? undefined : {};
      const { status } = await run.call(method, asked.replaceAll(/\{\w+\}/g, 'x'), body);
      expect([route, status]).toEqual([route, 403]);
    }
  });

  test('answers unknown paths and methods as everybody gets them', async () => {
    expect((await run.call('GET', '/v1/nothing')).status).toBe(404);
    expect((await run.call('PATCH', '/v1/jobs')).status).toBe(405);
    expect((await run.call('GET', '/v1/datasets/%E0%A4%A')).status).toBe(400);
  });

  test('ends after fifteen minutes; the run goes on with a new one', async () => {
    const short = await api.run();
    const { body: job } = await launch(short);
    api.moveClock(15 * 60_000 - 1);
    expect((await short.call('GET', `/v1/jobs/${job.id}`)).status).toBe(200);
    api.moveClock(1);
    const late = await short.call('GET', `/v1/jobs/${job.id}`);
    expect([late.status, late.body.detail]).toEqual([
      401,
      expect.stringContaining('Exchange a new token of GitHub'),
    ]);
    const next = await api.run();
    expect((await next.call('POST', `/v1/jobs/${job.id}/cancel`, {})).status).toBe(200);
    expect(policy.id).toBe((await api.exchange()).body.policy);
  });
});
