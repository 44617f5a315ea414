// Trust policies over HTTP: what one may say, who may make it, and what ends with it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { githubDotCom } from '../../api/contract/github.ts';
import { must } from '../support/builders.ts';
import { type GithubTest, openGithubTest, policyBody } from '../support/github.ts';

let api: GithubTest;
beforeAll(async () => {
  api = await openGithubTest();
});
afterAll(() => api.closeAll());

const path = '/v1/github/policies';
const make = (body: object) => api.call('POST', path, { ...policyBody, ...body });
const list = async () => (await must(api, 200, 'GET', `${path}?limit=500`)).items;
const entries = async (id: string) =>
  (await must(api, 200, 'GET', `/v1/audit?subject=github-policy/${id}`)).items;

describe('a policy', () => {
  test('is answered, listed and entered in the audit chain as it was asked for', async () => {
    const body = {
      refs: ['refs/heads/main', 'refs/tags/v*'],
      events: ['push', 'workflow_dispatch'],
      environments: ['gpu'],
      workflow: '.github/workflows/train.yml@refs/heads/main',
      targets: ['local'],
    };
    const { status, body: made } = await make(body);
    expect([status, made]).toEqual([
      201,
      {
        ...policyBody,
        ...body,
        id: made.id,
        issuer: githubDotCom,
        createdAt: api.deps.now().toISOString(),
        createdBy: 'admin',
        removedAt: null,
        removedBy: null,
      },
    ]);
    expect((await list()).at(-1)).toEqual(made);
    const { reason: _, ...said } = policyBody;
    expect(await entries(made.id)).toMatchObject([
      {
        actor: 'admin',
        action: 'github.policy.created',
        reason: policyBody.reason,
        detail: { ...said, ...body, issuer: githubDotCom },
      },
    ]);
  });

  test('that leaves out environments, workflow and targets has no rule about them', async () => {
    const { body } = await make({});
    expect(body).toMatchObject({ environments: null, workflow: null, targets: null });
  });

  test.each([
    ['/repositoryId', { repositoryId: 424242 }],
    ['/repositoryId', { repositoryId: 'octo-lab/segmentation' }],
    ['/repositoryOwnerId', { repositoryOwnerId: '02020' }],
    ['/repositoryOwnerId', { repositoryOwnerId: undefined }],
    ['/repository', { repository: 'segmentation' }],
    ['/refs', { refs: [] }],
    ['/refs', { refs: undefined }],
    ['/refs/0', { refs: ['main'] }],
    ['/refs/0', { refs: ['*'] }],
    ['/refs/0', { refs: ['refs/*'] }],
    ['/refs/0', { refs: ['refs/heads/*/x'] }],
    ['/refs', { refs: ['refs/heads/main', 'refs/heads/main'] }],
    ['/events', { events: [] }],
    ['/events/0', { events: ['issue_comment'] }],
    ['/events/0', { events: ['workflow_run'] }],
    ['/environments', { environments: [] }],
    ['/environments/0', { environments: [''] }],
    ['/workflow', { workflow: 'train.yml' }],
    ['/workflow', { workflow: 'octo-lab/segmentation/.github/workflows/train.yml' }],
    ['/aliases', { aliases: [] }],
    ['/aliases/0', { aliases: ['a b'] }],
    ['/targets/0', { targets: ['nowhere'] }],
    ['/issuer', { issuer: 'https://ghes.example/_services/token' }],
    ['/reason', { reason: ' ' }],
    ['', { workspace: 'other' }],
  ])('is refused at %s: %j', async (pointer, body) => {
    const before = (await list()).length;
    const refused = await make(body);
    expect([refused.status, refused.body.errors?.[0].pointer]).toEqual([422, pointer]);
    expect(await list()).toHaveLength(before);
  });

  test('for a dataset that is not here is not found', async () => {
    expect((await make({ dataset: 'nothing' })).status).toBe(404);
  });

  test('is for admins to make, list and remove', async () => {
    const { body } = await make({});
    for (const role of ['reader', 'editor', 'launcher', 'approver', 'agent'] as const) {
      const someone = await api.as(`a ${role}`, role);
      const answers = [
        await someone.call('POST', path, policyBody),
        await someone.call('GET', path),
        await someone.call('DELETE', `${path}/${body.id}`),
      ];
      expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
    }
    expect((await list()).at(-1)).toMatchObject({ id: body.id, removedAt: null });
  });

  test('is listed in pages, each once', async () => {
    const all = await list();
    const first = await must(api, 200, 'GET', `${path}?limit=1`);
    const rest = await must(api, 200, 'GET', `${path}?limit=500&cursor=${first.nextCursor}`);
    expect([...first.items, ...rest.items]).toEqual(all);
    expect(all.length).toBeGreaterThan(1);
  });
});

describe('removing a policy', () => {
  test('ends the sessions made through it at once, and no other', async () => {
    const gone = await api.policy();
    const run = await api.run();
    const kept = await api.policy({ refs: ['refs/heads/next'] });
    const other = await api.run({ ref: 'refs/heads/next' });
    expect((await run.call('GET', '/v1/datasets/phantom')).status).toBe(200);
    const removed = await must(api, 200, 'DELETE', `${path}/${gone.id}`);
    const at = api.deps.now().toISOString();
    expect(removed).toEqual({ ...gone, removedAt: at, removedBy: 'admin' });
    const refused = await run.call('GET', '/v1/datasets/phantom');
    expect([refused.status, refused.body.detail]).toEqual([
      401,
      expect.stringContaining('its policy was removed'),
    ]);
    expect((await other.call('GET', '/v1/datasets/phantom')).status).toBe(200);
    expect((await api.exchange()).status).toBe(403);
    await must(api, 200, 'DELETE', `${path}/${kept.id}`);
  });

  test('again changes nothing', async () => {
    const made = await api.policy();
    const removed = await must(api, 200, 'DELETE', `${path}/${made.id}`);
    api.moveClock(1_000);
    expect(await must(api, 200, 'DELETE', `${path}/${made.id}`)).toEqual(removed);
    const actions = (await entries(made.id)).map(({ action }: { action: string }) => action);
    expect(actions).toEqual(['github.policy.created', 'github.policy.removed']);
  });

  test('that is not here is not found', async () => {
    expect((await api.call('DELETE', `${path}/nothing`)).status).toBe(404);
  });
});

test('no token may bear the name of a run of GitHub', async () => {
  for (const actor of ['github:octo-lab/x@refs/heads/main (run 1/1, by eve)', 'GitHub:x']) {
    const body = { name: 'x', actor, role: 'launcher' };
    expect((await api.call('POST', '/v1/tokens', body)).status).toBe(422);
  }
  const { status } = await api.call('POST', '/v1/tokens', {
    name: 'x',
    actor: 'github-bot',
    role: 'launcher',
  });
  expect(status).toBe(201);
});
