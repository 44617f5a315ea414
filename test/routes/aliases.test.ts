// Aliases over HTTP: where they stand, their history, and what protects them. Each refusal of a
// protected alias differs from a move that succeeds in one thing.

import { beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { putAlias, requireApprovals } from '../../api/services/aliases.ts';
import { openTestApp, type Sending, type TestApp } from '../support/app.ts';
import { committedDataset, must, rules } from '../support/builders.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

type Named = { id: string; digest: string };

let api: TestApp;
let ed: Sending; // freezes
let mo: Sending & { token: string }; // moves
let ann: Sending; // approves
beforeAll(async () => {
  api = await openTestApp();
  ed = await api.as('ed', 'editor');
  mo = await api.as('mo', 'editor');
  ann = await api.as('ann', 'approver');
});

async function dataset(name: string) {
  await committedDataset(api, { name });
  const body = { name: 'rare', rules, reason: 'lesions are rare' };
  await must(api, 201, 'POST', `/v1/datasets/${name}/rule-sets`, body);
  const stricter = { ...rules, sampling: { ...rules.sampling, cap: 2 } };
  const second = { name: 'rare', rules: stricter, reason: 'no more than twice' };
  await must(api, 201, 'POST', `/v1/datasets/${name}/rule-sets`, second);
}

async function freeze(name: string, fold: number, ruleSet = 'rare@1', by = ed): Promise<Named> {
  const body = { version: 1, split: 'five-fold', fold, ruleSet, reason: 'run' };
  const { id, digest } = await must(by, 201, 'POST', `/v1/datasets/${name}/snapshots`, body);
  return { id, digest };
}

const pathOf = (name: string, alias = 'production') => `/v1/datasets/${name}/aliases/${alias}`;
const put = (name: string, body: object, by: Sending = mo, headers?: Record<string, string>) =>
  by.call('PUT', pathOf(name), { reason: 'it did well', ...body }, headers);
const approve = (digest: string, by: Sending = ann) =>
  must(by, 201, 'POST', `/v1/snapshots/${digest}/approvals`, { meaning: 'use', reason: 'seen' });

describe('an alias', () => {
  test('stands on a snapshot per fold, named by id or digest, and is read as it was answered', async () => {
    await dataset('stands');
    const [zero, one] = [await freeze('stands', 0), await freeze('stands', 1)];
    const made = await put('stands', { snapshots: { 0: zero.digest, 1: one.id } });
    const move = {
      number: 1,
      snapshots: { 0: zero, 1: one },
      protected: false,
      approvals: [],
      reason: 'it did well',
      createdAt: api.deps.now().toISOString(),
      createdBy: 'mo',
    };
    const alias = { name: 'production', dataset: 'stands', ...move, withdrawn: [] };
    expect(made).toEqual({ status: 201, body: { ...alias, history: [move] } });
    expect(await must(api, 200, 'GET', pathOf('stands'))).toEqual(made.body);
    expect(await must(api, 200, 'GET', '/v1/datasets/stands/aliases')).toEqual({
      items: [made.body],
      nextCursor: null,
    });
    const { items } = await must(api, 200, 'GET', '/v1/audit?action=alias.moved');
    expect(items).toMatchObject([
      {
        actor: 'mo',
        reason: 'it did well',
        detail: {
          dataset: 'stands',
          name: 'production',
          number: 1,
          from: null,
          to: { 0: zero.digest, 1: one.digest },
          approvals: [],
        },
      },
    ]);
  });

  test('keeps every move; moving to where it stands stores nothing', async () => {
    await dataset('moves');
    const [first, second] = [await freeze('moves', 0), await freeze('moves', 0, 'rare@2')];
    await put('moves', { snapshots: { 0: first.digest } });
    const moved = await put('moves', { snapshots: { 0: second.digest }, reason: 'capped' });
    expect([moved.status, moved.body.number]).toEqual([200, 2]);
    const again = await put('moves', { snapshots: { 0: second.id }, reason: 'again' });
    expect(again).toEqual(moved);
    const back = await put('moves', { snapshots: { 0: first.id }, reason: 'worse' });
    expect(back.body.history.map((move: any) => [move.number, move.snapshots[0].id])).toEqual([
      [1, first.id],
      [2, second.id],
      [3, first.id],
    ]);
    const { id } = await must(api, 200, 'GET', '/v1/datasets/moves');
    const path = `/v1/audit?subject=alias/${id}/production`;
    const { items } = await must(api, 200, 'GET', path);
    expect(items.map(({ detail }: any) => [detail.from, detail.to])).toEqual([
      [null, { 0: first.digest }],
      [{ 0: first.digest }, { 0: second.digest }],
      [{ 0: second.digest }, { 0: first.digest }],
    ]);
  });

  test('names a snapshot wherever one is named, and the answer is not kept for good', async () => {
    await dataset('named');
    const [zero, one] = [await freeze('named', 0), await freeze('named', 1)];
    await put('named', { snapshots: { 0: zero.digest } });
    const read = async (key: string) => await api.call('GET', `/v1/snapshots/${key}`);
    expect((await read('named@production')).body.digest).toBe(zero.digest);
    await put('named', { snapshots: { 0: zero.digest, 1: one.digest } });
    expect((await read('named@production:1')).body.digest).toBe(one.digest);
    const response = await api.send('GET', '/v1/snapshots/named@production:0');
    expect(response.headers.get('cache-control')).toBe('private, no-cache');
    expect(response.headers.get('etag')).toBe(`"${zero.digest}"`);
    const fixed = await api.send('GET', `/v1/snapshots/${zero.digest}`);
    expect(fixed.headers.get('cache-control')).toContain('immutable');
    const cases = await api.send('GET', '/v1/snapshots/named@production:1/cases');
    expect(cases.headers.get('etag')).toBe(`"${one.digest}"`);
    expect(cases.headers.get('cache-control')).toBe('private, no-cache');
    await cases.body?.cancel();
    const diff = '/v1/snapshots/named@production:0/diff/named@production:1';
    expect((await api.call('GET', diff)).status).toBe(200);
    for (const [key, status, said] of [
      ['named@production', 422, 'holds the folds 0, 1'],
      ['named@production:2', 404, 'holds no fold 2, only 0, 1'],
      ['named@nothing:0', 404, 'no alias "nothing"'],
      ['nothing@production:0', 404, 'no dataset "nothing"'],
      ['named@production:constructor', 404, 'holds no fold'],
    ] as const) {
      const refused = await read(key);
      expect([key, refused.status, refused.body.detail]).toEqual([
        key,
        status,
        expect.stringContaining(said),
      ]);
    }
  });

  test('takes another alias for a snapshot, as it stands now', async () => {
    await dataset('chained');
    const zero = await freeze('chained', 0);
    await put('chained', { snapshots: { 0: zero.digest } });
    const path = pathOf('chained', 'candidate');
    const body = { snapshots: { 0: 'chained@production:0' }, reason: 'the same' };
    expect((await must(mo, 201, 'PUT', path, body)).snapshots).toEqual({ 0: zero });
  });

  test('refuses snapshots of another fold or dataset, or none, pointing at each', async () => {
    await dataset('refuses');
    await dataset('elsewhere');
    const zero = await freeze('refuses', 0);
    const foreign = await freeze('elsewhere', 2);
    const snapshots = { 0: zero.digest, 1: zero.digest, 2: foreign.digest, 3: 'nothing' };
    const refused = await put('refuses', { snapshots });
    expect([refused.status, refused.body.errors]).toEqual([
      422,
      [
        { pointer: '/snapshots/1', detail: 'a snapshot of fold 0, not of fold 1' },
        {
          pointer: '/snapshots/2',
          detail: 'a snapshot of dataset "elsewhere", not of "refuses"',
        },
        { pointer: '/snapshots/3', detail: expect.stringContaining('no snapshot "nothing"') },
      ],
    ]);
    for (const body of [
      { snapshots: {} },
      { snapshots: { '00': zero.digest } },
      { snapshots: { 0: zero.digest }, reason: ' ' },
      { snapshots: { 0: zero.digest }, protect: true },
    ]) {
      expect((await put('refuses', body)).status).toBe(422);
    }
    const name = pathOf('refuses', 'a@b');
    expect((await mo.call('PUT', name, { snapshots: { 0: zero.id }, reason: 'x' })).status).toBe(
      400,
    );
    expect((await put('refuses', { snapshots: { 0: zero.id } }, ann)).status).toBe(403);
    expect((await api.call('GET', pathOf('refuses'))).status).toBe(404);
    expect((await must(api, 200, 'GET', '/v1/datasets/refuses/aliases')).items).toEqual([]);
  });

  test('shows the cases of its snapshots that were withdrawn since, each once', async () => {
    await dataset('withdrawn');
    const [zero, one] = [await freeze('withdrawn', 0), await freeze('withdrawn', 1)];
    await put('withdrawn', { snapshots: { 0: zero.digest, 1: one.digest } });
    for (const caseId of ['case_0002', 'case_0001']) {
      const body = { caseId, reason: 'consent' };
      await must(ed, 201, 'POST', '/v1/datasets/withdrawn/withdrawals', body);
    }
    const alias = await must(api, 200, 'GET', pathOf('withdrawn'));
    expect(alias.withdrawn).toEqual(['case_0001', 'case_0002']);
    const fresh = await freeze('withdrawn', 0);
    const moved = await put('withdrawn', { snapshots: { 0: fresh.digest } });
    expect(moved.body.withdrawn).toEqual([]);
  });

  test('is listed in pages, each once, at its newest move', async () => {
    await dataset('paged');
    const [zero, one] = [await freeze('paged', 0), await freeze('paged', 1)];
    for (const [name, folds] of [
      ['a', { 0: zero.id }],
      ['b', { 0: zero.id }],
      ['c', { 1: one.id }],
      ['a', { 1: one.id }],
    ] as const) {
      await mo.call('PUT', pathOf('paged', name), { snapshots: folds, reason: 'x' });
    }
    const list = '/v1/datasets/paged/aliases?limit=2';
    const first = await must(api, 200, 'GET', list);
    const second = await must(api, 200, 'GET', `${list}&cursor=${first.nextCursor}`);
    const all = [...first.items, ...second.items];
    expect(all.map(({ name, number }) => [name, number])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 1],
    ]);
  });
});

describe('two who move at once', () => {
  test('the number that one has read is refused where it is no longer so', async () => {
    await dataset('numbers');
    const [first, second] = [await freeze('numbers', 0), await freeze('numbers', 0, 'rare@2')];
    const to = (snapshot: Named, expected: number) =>
      put('numbers', { snapshots: { 0: snapshot.id }, expected });
    expect((await to(first, 1)).body.detail).toContain('is not there yet, not at 1');
    expect((await to(first, 0)).status).toBe(201);
    const late = await to(second, 0);
    expect([late.status, late.body.detail]).toEqual([
      409,
      expect.stringContaining('stands at number 1'),
    ]);
    const body = { snapshots: { 0: second.id } };
    const stale = await put('numbers', body, mo, { 'if-match': '"7"' });
    expect(stale.status).toBe(409);
    expect((await put('numbers', body, mo, { 'if-match': 'x' })).status).toBe(400);
    const response = await api.send('GET', pathOf('numbers'));
    const etag = response.headers.get('etag') as string;
    expect((await put('numbers', body, mo, { 'if-match': etag })).body.number).toBe(2);
  });

  test('the second one is refused, and only one move is stored', async () => {
    await dataset('race');
    const [first, second] = [await freeze('race', 0), await freeze('race', 0, 'rare@2')];
    const deps = withMeanwhile(api.deps, () => put('race', { snapshots: { 0: first.id } }));
    const actor = await actorOfToken(api.deps, mo.token);
    const input = { dataset: 'race', alias: 'production', reason: 'mine' };
    await expect(
      putAlias(deps, actor, { ...input, snapshots: { 0: second.id } }),
    ).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('at the same moment'),
    });
    const { history } = await must(api, 200, 'GET', pathOf('race'));
    expect(history).toMatchObject([{ number: 1, snapshots: { 0: first } }]);
  });
});

describe('a protected alias', () => {
  /** An alias that `mo` protected on an approved snapshot of fold 0, and the next snapshot. */
  async function guarded(name: string) {
    await dataset(name);
    const [now, next] = [await freeze(name, 0), await freeze(name, 0, 'rare@2')];
    const { id } = await approve(now.digest);
    const made = await put(name, { snapshots: { 0: now.digest }, protected: true });
    expect([made.status, made.body.approvals]).toEqual([201, [id]]);
    const move = (by: Sending = mo, body: object = {}) =>
      put(name, { snapshots: { 0: next.digest }, ...body }, by);
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
    const alias = await must(api, 200, 'GET', pathOf(name));
    expect([alias.number, alias.protected]).toEqual([1, true]);
  }

  test('moves onto what another person approved, and says by which approvals', async () => {
    const { now, next, move } = await guarded('allowed');
    await expectNotMoved('allowed', await move());
    const { id } = await approve(next.digest);
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
    await approve(now.digest, await api.as('bea', 'approver'));
    await expectNotMoved('other-digest', await move());
  });

  test('does not move by an approval that was revoked', async () => {
    const { next, move } = await guarded('revoked');
    const { id } = await approve(next.digest);
    const path = `/v1/snapshots/${next.digest}/approvals/${id}/revoke`;
    await must(ann, 200, 'POST', path, { reason: 'too early' });
    await expectNotMoved('revoked', await move());
    await approve(next.digest);
    expect((await move()).status).toBe(200);
  });

  test('does not move by the approval of who moves it', async () => {
    const { next, move } = await guarded('mover');
    await approve(next.digest, await api.as('mo', 'approver'));
    await expectNotMoved('mover', await move());
    expect((await move(ed)).status).toBe(200);
  });

  test('does not move by the approval of who froze the same digest since', async () => {
    const { next, move } = await guarded('author');
    await approve(next.digest);
    const { excluded } = await must(api, 200, 'GET', `/v1/snapshots/${next.digest}`);
    const gone = { caseId: excluded[0].id, reason: 'consent' };
    await must(ed, 201, 'POST', '/v1/datasets/author/withdrawals', gone);
    const twin = await freeze('author', 0, 'rare@2', await api.as('ann', 'editor'));
    expect(twin.digest).toBe(next.digest);
    await expectNotMoved('author', await move());
  });

  test('does not move by an approval that is revoked while it moves', async () => {
    const { next } = await guarded('meanwhile');
    const { id } = await approve(next.digest);
    const path = `/v1/snapshots/${next.digest}/approvals/${id}/revoke`;
    const revoke = () => must(ann, 200, 'POST', path, { reason: 'wrong one' });
    const actor = await actorOfToken(api.deps, mo.token);
    const input = { dataset: 'meanwhile', alias: 'production', reason: 'go' };
    await expect(
      putAlias(withMeanwhile(api.deps, revoke), actor, {
        ...input,
        snapshots: { 0: next.digest },
      }),
    ).rejects.toMatchObject({ kind: 'conflict' });
    expect((await must(api, 200, 'GET', pathOf('meanwhile'))).number).toBe(1);
  });

  test('does not lose its protection without approval, nor gain it', async () => {
    const { next, move } = await guarded('unprotect');
    await expectNotMoved('unprotect', await move(mo, { protected: false }));
    await approve(next.digest);
    const open = await move(mo, { protected: false });
    expect(open.body).toMatchObject({ number: 2, protected: false });
    expect(open.body.approvals).toHaveLength(1);
    const other = await freeze('unprotect', 1);
    const free = await put('unprotect', { snapshots: { 1: other.digest } });
    expect(free.body).toMatchObject({ number: 3, protected: false, approvals: [] });
    const closing = await put('unprotect', { snapshots: { 1: other.digest }, protected: true });
    expect([closing.status, closing.body.errors[0].pointer]).toEqual([409, '/snapshots/1']);
    await approve(other.digest);
    const closed = await put('unprotect', { snapshots: { 1: other.digest }, protected: true });
    expect(closed.body).toMatchObject({ number: 4, protected: true });
  });

  test('names every fold that has no approval, and stays protected where nothing is said', async () => {
    const { next } = await guarded('folds');
    const [one, two] = [await freeze('folds', 1), await freeze('folds', 2)];
    await approve(one.digest);
    const snapshots = { 0: next.digest, 1: one.digest, 2: two.digest };
    const refused = await put('folds', { snapshots });
    expect([refused.status, refused.body.errors.map(({ pointer }: any) => pointer)]).toEqual([
      409,
      ['/snapshots/0', '/snapshots/2'],
    ]);
    await approve(next.digest);
    await approve(two.digest);
    const moved = await put('folds', { snapshots });
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
