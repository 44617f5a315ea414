// Who works in a deployment, whom it trusts, whom it tells: workspaces, runs of GitHub, webhooks.

import { expect } from 'vitest';
import { fakeImage } from '../support/fake-aws-batch.ts';
import { runClaims } from '../support/github-issuer.ts';
import { jobSettings } from '../support/jobs.ts';
import { type Chain, reason, type Step } from './chain.ts';

async function workspaces({ admin, calls }: Chain): Promise<void> {
  const body = { name: 'clinic', actor: 'cleo', reason };
  const made = await admin.must(201, 'POST', '/v1/workspaces', body);
  await admin.must(409, 'POST', '/v1/workspaces', body);
  const { items } = await admin.must(200, 'GET', '/v1/workspaces');
  expect(items.map(({ name }: { name: string }) => name)).toEqual(['default', 'clinic']);
  const cleo = calls.as(made.token.secret);
  expect(await cleo.must(200, 'GET', '/v1/datasets')).toMatchObject({ items: [] });
  await cleo.must(404, 'GET', '/v1/datasets/liver');
  await cleo.must(403, 'GET', '/v1/workspaces');
}

async function trust({ admin, calls, stack }: Chain): Promise<void> {
  const policy = await admin.must(201, 'POST', '/v1/github/policies', {
    repository: 'octo-lab/segmentation',
    repositoryId: '424242',
    repositoryOwnerId: '2020',
    issuer: stack.issuer.issuer,
    refs: ['refs/heads/main'],
    events: ['push'],
    dataset: 'liver',
    aliases: ['production'],
    reason,
  });
  const nobody = calls.as('');
  const claims = runClaims(new Date(), { aud: stack.audience });
  const token = await stack.issuer.sign(claims);
  const session = await nobody.must(201, 'POST', '/v1/github/exchange', { token });
  expect(session).toMatchObject({ dataset: 'liver', aliases: ['production'], dryRunOnly: false });
  await nobody.must(401, 'POST', '/v1/github/exchange', { token });
  const run = calls.as(session.token);
  await run.must(200, 'GET', '/v1/datasets/liver/aliases/production');
  const launch = { target: 'cloud', image: fakeImage, seed: 4, settings: jobSettings, reason };
  const dryRun = { ...launch, snapshot: 'liver@production:0', dryRun: true };
  await run.must(200, 'POST', '/v1/jobs', dryRun);
  await run.must(403, 'GET', '/v1/tokens');
  expect((await admin.must(200, 'GET', '/v1/github/policies')).items).toHaveLength(1);
  await admin.must(200, 'DELETE', `/v1/github/policies/${policy.id}`);
  await run.must(401, 'GET', '/v1/datasets/liver/aliases/production');
}

async function webhooks({ admin, stack }: Chain): Promise<void> {
  const { receiver } = stack;
  const url = `http://127.0.0.1:${receiver.port}/hook`;
  const asked = { url, events: ['token.*'], reason };
  const { id } = await admin.must(201, 'POST', '/v1/webhooks', asked);
  const path = `/v1/webhooks/${id}`;
  const ping = await admin.must(200, 'POST', `${path}/test`);
  expect([ping.state, receiver.requests.length]).toEqual(['delivered', 1]);
  const body = { name: 'told', actor: 'dee', role: 'reader' };
  await admin.must(201, 'POST', '/v1/tokens', body);
  await stack.tick();
  const { items } = await admin.must(200, 'GET', `${path}/deliveries?state=delivered`);
  const types = items.map(({ type }: { type: string }) => type);
  expect(types).toEqual(['token.created', 'ping']);
  expect(JSON.parse(receiver.requests[1].body)).toMatchObject({ type: 'token.created' });
  await admin.must(200, 'POST', `${path}/deliveries/${items[0].id}/redeliver`);
  await admin.must(200, 'POST', `${path}/enable`, { reason });
  await stack.tick();
  const sent = receiver.requests.slice(1).map(({ headers }) => headers['webhook-id']);
  expect(sent).toEqual([items[0].id, items[0].id]);
  expect((await admin.must(200, 'GET', '/v1/webhooks')).items).toHaveLength(1);
  expect(await admin.must(200, 'GET', path)).toMatchObject({ url, state: 'active' });
  await admin.must(200, 'DELETE', path);
}

export const teamSteps: Step[] = [
  ['a workspace is made with its first admin, who sees nothing of the others', workspaces],
  ['a run of GitHub is trusted with an alias until its policy is removed', trust],
  ['a webhook is told of what happens, once and again', webhooks],
];
