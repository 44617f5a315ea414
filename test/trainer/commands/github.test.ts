// counterweight github policies, against the service in process.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { must } from '../../support/builders.ts';
import { commandLine } from '../../support/command-line.ts';
import { type GithubTest, openGithubTest } from '../../support/github.ts';

let api: GithubTest;
beforeAll(async () => {
  api = await openGithubTest();
});
afterAll(() => api.closeAll());

const policies = (...args: string[]) => commandLine(api, ['github', 'policies', ...args]);
const asked = (issuer: string) => [
  ...['add', '--repository', 'octo-lab/segmentation', '--repository-id', '424242'],
  ...['--owner-id', '2020', '--issuer', issuer, '--ref', 'refs/heads/main', 'refs/tags/v*'],
  ...['--event', 'push', 'workflow_dispatch', '--dataset', 'phantom', '--alias', 'production'],
  ...['--reason', 'nightly'],
];

test('add, list and remove: a run is trusted in between', async () => {
  expect((await api.exchange()).status).toBe(403);
  const more = ['--environment', 'gpu', '--workflow', '.github/workflows/train.yml'];
  const added = await policies(...asked(api.issuer.issuer), ...more, '--target', 'local');
  const rule =
    'octo-lab/segmentation (424242); at refs/heads/main, refs/tags/v*; on push, workflow_dispatch; in environment gpu; by .github/workflows/train.yml; launches phantom@production; on target local';
  const { items } = await must(api, 200, 'GET', '/v1/github/policies');
  expect([added.code, added.out]).toEqual([0, `policy ${items[0].id}: ${rule}`]);
  const { status, body } = await api.exchange({ environment: 'gpu' });
  expect([status, body.targets]).toEqual([201, ['local']]);
  const listed = await policies('list', '--json');
  expect(JSON.parse(listed.out)).toEqual({ items });
  const removed = await policies('remove', items[0].id);
  expect(removed.said).toContain(`policy ${items[0].id} of octo-lab/segmentation is removed`);
  expect((await api.exchange({ environment: 'gpu' })).status).toBe(403);
  expect((await policies('list')).out).toContain(`${rule}  2026-03-01T`);
});

test('what the service refuses exits with 3, what cannot be asked with 2', async () => {
  const elsewhere = await policies(...asked('https://ghes.example'));
  expect([elsewhere.code, elsewhere.said]).toEqual([3, expect.stringContaining('Issuer')]);
  const [ref] = asked('').filter((part) => part.startsWith('refs/heads'));
  const named = asked(api.issuer.issuer).map((part) => (part === ref ? 'main' : part));
  const refused = await policies(...named);
  expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('/refs/0')]);
  const strange = await policies(
    ...asked(api.issuer.issuer).map((part) => (part === 'push' ? 'issue_comment' : part)),
  );
  expect([strange.code, strange.said]).toEqual([2, expect.stringContaining('pull_request')]);
});
