// What protects an alias. Each refusal differs from a move that succeeds in one thing.

import { beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { putAlias, requireApprovals } from '../../api/services/aliases.ts';
import { type AliasTest, aliasPath, openAliasTest } from '../support/aliases.ts';
import type { Sending } from '../support/app.ts';
import { must } from '../support/builders.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

let api: AliasTest;
beforeAll(async () => {
  api = await openAliasTest();
});

describe('a protected alias', () => {
  /** An alias that `mo` protected on an approved snapshot of fold 0, and the next snapshot. */
  async function guarded(name: string) {
    await api.dataset(name);
    const [now, next] = [await api.freeze(name, 0), await api.freeze(name, 0, 'rare@2')];
    const { id } = await api.approve(now.digest);
    const made = await api.put(name, { snapshots: { 0: now.digest }, protected: true });
    expect([made.status, made.body.approvals]).toEqual([201, [id]]);
    const move = (by: Sending = api.mo, body: object = {}) =>
      api.put(name, { snapshots: { 0: next.digest }, ...body }, by);
    return { now, next, move };
  }

  async function expectNotMoved(name: string, answer: { status: number; body: any }) {
    expect([answer.status, answer.body.detail]).toEqual([
      409,
      expect.stringContaining('fold 0 has no standing approval'),
    ]);
    expect(answer.body.errors).toEqual([
      { pointer: '/snapshots/0', detail: expect.stringContaining('not approved by another') },
    ]);
    const alias = await must(api, 200, 'GET', aliasPath(name));
    expect([alias.number, alias.protected]).toEqual([1, true]);
  }

  test('moves onto what another person approved, and says by which approvals', async () => {
    const { now, next, move } = await guarded('allowed');
    await expectNotMoved('allowed', await move());
    const { id } = await api.approve(next.digest);
    const moved = await move();
    expect(moved).toMatchObject({ status: 200, body: { number: 2, approvals: [id] } });
    const { items } = await must(api, 200, 'GET', '/v1/audit?action=alias.moved&limit=500');
    expect(items.at(-1).detail).toMatchObject({
      from: { 0: now.digest },
      to: { 0: next.digest },
      protected: true,
      approvals: [id],
    });
  });

  test('does not move by an approval of another digest', async () => {
    const { now, move } = await guarded('other-digest');
    await api.approve(now.digest, await api.as('bea', 'approver'));
    await expectNotMoved('other-digest', await move());
  });

  test('does not move by an approval that was revoked', async () => {
    const { next, move } = await guarded('revoked');
    const { id } = await api.approve(next.digest);
    const path = `/v1/snapshots/${next.digest}/approvals/${id}/revoke`;
    await must(api.ann, 200, 'POST', path, { reason: 'too early' });
    await expectNotMoved('revoked', await move());
    await api.approve(next.digest);
    expect((await move()).status).toBe(200);
  });

  test('does not move by the approval of who moves it', async () => {
    const { next, move } = await guarded('mover');
    await api.approve(next.digest, await api.as('mo', 'approver'));
    await expectNotMoved('mover', await move());
    expect((await move(api.ed)).status).toBe(200);
  });

  test('does not move by the approval of who froze the same digest since', async () => {
    const { next, move } = await guarded('author');
    await api.approve(next.digest);
    const { excluded } = await must(api, 200, 'GET', `/v1/snapshots/${next.digest}`);
    const gone = { caseId: excluded[0].id, reason: 'consent' };
    await must(api.ed, 201, 'POST', '/v1/datasets/author/withdrawals', gone);
    const twin = await api.freeze('author', 0, 'rare@2', await api.as('ann', 'editor'));
    expect(twin.digest).toBe(next.digest);
    await expectNotMoved('author', await move());
  });

  test('does not move by an approval that is revoked while it moves', async () => {
    const { next } = await guarded('meanwhile');
    const { id } = await api.approve(next.digest);
    const path = `/v1/snapshots/${next.digest}/approvals/${id}/revoke`;
    const revoke = () => must(api.ann, 200, 'POST', path, { reason: 'wrong one' });
    const actor = await actorOfToken(api.deps, api.mo.token);
    const input = { dataset: 'meanwhile', alias: 'production', reason: 'go' };
    await expect(
      putAlias(withMeanwhile(api.deps, revoke), actor, {
        ...input,
        snapshots: { 0: next.digest },
      }),
    ).rejects.toMatchObject({ kind: 'conflict' });
    expect((await must(api, 200, 'GET', aliasPath('meanwhile'))).number).toBe(1);
  });

  test('does not lose its protection without approval, nor gain it', async () => {
    const { next, move } = await guarded('unprotect');
    await expectNotMoved('unprotect', await move(api.mo, { protected: false }));
    await api.approve(next.digest);
    const open = await move(api.mo, { protected: false });
    expect(open.body).toMatchObject({ number: 2, protected: false });
    expect(open.body.approvals).toHaveLength(1);
    const other = await api.freeze('unprotect', 1);
    const free = await api.put('unprotect', { snapshots: { 1: other.digest } });
    expect(free.body).toMatchObject({ number: 3, protected: false, approvals: [] });
    const closing = await api.put('unprotect', { snapshots: { 1: other.digest }, protected: true });
    expect([closing.status, closing.body.errors[0].pointer]).toEqual([409, '/snapshots/1']);
    await api.approve(other.digest);
    const closed = await api.put('unprotect', { snapshots: { 1: other.digest }, protected: true });
    expect(closed.body).toMatchObject({ number: 4, protected: true });
  });

  test('names every fold that has no approval, and stays protected where nothing is said', async () => {
    const { next } = await guarded('folds');
    const [one, two] = [await api.freeze('folds', 1), await api.freeze('folds', 2)];
    await api.approve(one.digest);
    const snapshots = { 0: next.digest, 1: one.digest, 2: two.digest };
    const refused = await api.put('folds', { snapshots });
    expect([refused.status, refused.body.errors.map(({ pointer }: any) => pointer)]).toEqual([
      409,
      ['/snapshots/0', '/snapshots/2'],
    ]);
    await api.approve(next.digest);
    await api.approve(two.digest);
    const moved = await api.put('folds', { snapshots });
    expect([moved.body.protected, moved.body.approvals.length]).toEqual([true, 3]);
  });
});

test('an approval counts for its digest, unless it is of the mover or an author', () => {
  const approval = (id: string, createdBy: string, snapshotDigest = 'a') =>
    ({ id, createdBy, snapshotDigest }) as never;
  const asked = { snapshots: { 0: 'a', 1: 'b' }, mover: 'mo' };
  const authors = [
    { digest: 'a', author: 'ed' },
    { digest: 'b', author: 'ann' },
  ];
  const right = [approval('1', 'ann'), approval('2', 'ed', 'b'), approval('3', 'bea', 'b')];
  expect(requireApprovals(asked, { approvals: right, authors })).toEqual(['1', '2', '3']);
  for (const wrong of [
    [approval('1', 'ann')],
    [approval('1', 'ann'), approval('2', 'ann', 'b')],
    [approval('1', 'ann'), approval('2', 'mo', 'b')],
    [approval('1', 'ed'), approval('2', 'ed', 'b')],
    [approval('1', 'ann', 'c'), approval('2', 'ed', 'b')],
    [],
  ]) {
    expect(() => requireApprovals(asked, { approvals: wrong, authors })).toThrow('is protected');
  }
});
