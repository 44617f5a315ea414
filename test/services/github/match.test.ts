// Whether a policy trusts a run: iff each of its rules holds.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type GithubClaims, githubEvents } from '../../../api/contract/github.ts';
import {
  fits,
  type GithubRules,
  isFork,
  isPullRequest,
  trusts,
} from '../../../api/services/github/match.ts';
import { pullRequest, runClaims } from '../../support/github-issuer.ts';

const iss = 'https://token.example';
const claimsOf = (changed: object): GithubClaims =>
  runClaims(new Date(0), { iss, ...changed }) as unknown as GithubClaims;
const rules: GithubRules = {
  issuer: iss,
  repositoryId: '424242',
  repositoryOwnerId: '2020',
  refs: ['refs/heads/main', 'refs/tags/v*'],
  events: ['push', 'schedule'],
  environments: null,
  workflow: null,
};

// The first value is the right one, and comes half of the time: then each rule is often alone to
// refuse.
const oneOf = <Value>(right: Value, ...others: Value[]) =>
  fc.oneof(fc.constant(right), fc.constantFrom(right, ...others));
const ref = oneOf('refs/heads/main', 'refs/heads/mainly', 'refs/tags/v1', 'refs/tags/w1', 'refs/x');
const path = oneOf('.github/workflows/train.yml', '.github/workflows/train.yml2', 'train.yml');
const run = fc.record({
  iss: oneOf(iss, `${iss}/`),
  repository_id: oneOf('424242', '42424', '4242420'),
  repository_owner_id: oneOf('2020', '2021'),
  ref,
  event_name: oneOf<string>('push', ...githubEvents, 'issue_comment'),
  environment: oneOf<string | undefined>('gpu', 'GPU', '', undefined),
  workflow_ref: fc
    .tuple(oneOf('octo-lab/segmentation', 'octo-lab/other'), path, ref)
    .map(([repository, file, at]) => `${repository}/${file}@${at}`),
});
const policy = fc.record({
  refs: oneOf(['refs/heads/main', 'refs/tags/v*'], ['refs/heads/*'], ['refs/tags/w1']),
  events: oneOf<GithubRules['events']>(['push', 'release'], ['schedule'], [...githubEvents]),
  environments: oneOf(null, ['gpu'], ['gpu', 'lab']),
  workflow: oneOf(
    null,
    '.github/workflows/train.yml',
    '.github/workflows/train.yml@refs/heads/main',
    '.github/workflows/train.yml@refs/tags/*',
  ),
});

/** Each rule said again, in other words than the code's. */
function verdicts(asked: GithubRules, claims: GithubClaims): boolean[] {
  const matches = (pattern: string, text: string) =>
    new RegExp(`^${pattern.replace(/[.+?^$()[\]{}|\\]/g, '\\$&').replace(/\*$/, '.*')}$`).test(
      text,
    );
  const own = 'octo-lab/segmentation/';
  const { workflow, environments } = asked;
  return [
    claims.iss === iss,
    claims.repository_id === '424242',
    claims.repository_owner_id === '2020',
    asked.refs.filter((pattern) => matches(pattern, claims.ref)).length > 0,
    asked.events.map(String).indexOf(claims.event_name) >= 0,
    environments === null || environments.indexOf(String(claims.environment)) >= 0,
    workflow === null ||
      matches(workflow.includes('@') ? own + workflow : `${own}${workflow}@*`, claims.workflow_ref),
  ];
}

test('a policy trusts a run iff each of its rules holds', () => {
  const seen = { trusted: 0, refused: 0, byOne: new Set<number>() };
  fc.assert(
    fc.property(run, policy, fc.integer({ min: -1, max: 6 }), (said, asked, kept) => {
      const right = { iss, repository_id: '424242', repository_owner_id: '2020' };
      const some = kept < 3 ? { ...right, ...(kept < 0 ? {} : pick(said, kept)) } : right;
      const claims = claimsOf({ ...said, ...some });
      const each = verdicts({ ...rules, ...asked }, claims);
      const all = each.every(Boolean);
      expect(trusts({ ...rules, ...asked }, claims)).toBe(all);
      seen[all ? 'trusted' : 'refused']++;
      const against = each.flatMap((holds, place) => (holds ? [] : [place]));
      if (against.length === 1) seen.byOne.add(against[0]);
    }),
    { numRuns: 3_000 },
  );
  // Otherwise the property would hold of rules that nothing depends on.
  expect(seen.trusted).toBeGreaterThan(50);
  expect([...seen.byOne].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

const pick = (said: Record<string, unknown>, place: number) => {
  const name = ['iss', 'repository_id', 'repository_owner_id'][place];
  return { [name]: said[name] };
};

describe('a pattern', () => {
  test.each([
    ['refs/heads/main', 'refs/heads/main', true],
    ['refs/heads/main', 'refs/heads/main2', false],
    ['refs/heads/main', 'refs/heads/Main', false],
    ['refs/heads/rel*', 'refs/heads/release/1', true],
    ['refs/heads/rel*', 'refs/heads/rel', true],
    ['refs/heads/rel*', 'refs/tags/release', false],
    ['refs/heads/a.c', 'refs/heads/abc', false],
  ])('%s and %s: %s', (pattern, text, fit) => {
    expect(fits(pattern, text)).toBe(fit);
  });
});

describe('a run', () => {
  test('keeps its trust when its repository gets another name, and a new owner of the name has none', () => {
    const asked = { ...rules, workflow: '.github/workflows/train.yml' };
    const workflow_ref = 'new/name/.github/workflows/train.yml@refs/heads/main';
    expect(trusts(asked, claimsOf({ repository: 'new/name', workflow_ref }))).toBe(true);
    expect(trusts(asked, claimsOf({ repository_id: '99' }))).toBe(false);
    expect(trusts(asked, claimsOf({ repository_owner_id: '99' }))).toBe(false);
  });

  test.each([
    [{}, false],
    [pullRequest, true],
    [{ event_name: 'pull_request_target' }, true],
    [{ ref: 'refs/pull/7/head' }, true],
    [{ head_ref: 'x' }, true],
  ])('of %j is of a pull request: %s', (changed, is) => {
    expect(isPullRequest(claimsOf(changed))).toBe(is);
  });

  test.each([
    [{}, false],
    [{ head_repository: 'octo-lab/segmentation', head_repository_id: '424242' }, false],
    [{ head_repository: '' }, false],
    [{ head_repository: 'eve/segmentation' }, true],
    [{ head_repository_id: '7' }, true],
  ])('of %j is of a fork: %s', (changed, is) => {
    expect(isFork(claimsOf(changed))).toBe(is);
  });
});
