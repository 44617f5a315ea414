// Aliases over HTTP: where they stand, their history, and two who move at once.

import { beforeAll, describe, expect, test } from 'vitest';
import { actorOfToken } from '../../api/services/access.ts';
import { putAlias } from '../../api/services/aliases.ts';
import { type AliasTest, aliasPath, type Named, openAliasTest } from '../support/aliases.ts';
import { must } from '../support/builders.ts';
import { withMeanwhile } from '../support/meanwhile.ts';

let api: AliasTest;
beforeAll(async () => {
  api = await openAliasTest();
});

describe('an alias', () => {
  test('stands on a snapshot per fold, named by id or digest, and is read as it was answered', async () => {
    await api.dataset('stands');
    const [zero, one] = [await api.freeze('stands', 0), await api.freeze('stands', 1)];
    const made = await api.put('stands', { snapshots: { 0: zero.digest, 1: one.id } });
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
    expect(await must(api, 200, 'GET', aliasPath('stands'))).toEqual(made.body);
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
    await api.dataset('moves');
    const [first, second] = [await api.freeze('moves', 0), await api.freeze('moves', 0, 'rare@2')];
    await api.put('moves', { snapshots: { 0: first.digest } });
    const moved = await api.put('moves', { snapshots: { 0: second.digest }, reason: 'capped' });
    expect([moved.status, moved.body.number]).toEqual([200, 2]);
    const again = await api.put('moves', { snapshots: { 0: second.id }, reason: 'again' });
    expect(again).toEqual(moved);
    const back = await api.put('moves', { snapshots: { 0: first.id }, reason: 'worse' });
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
    await api.dataset('named');
    const [zero, one] = [await api.freeze('named', 0), await api.freeze('named', 1)];
    await api.put('named', { snapshots: { 0: zero.digest } });
    const read = async (key: string) => await api.call('GET', `/v1/snapshots/${key}`);
    expect((await read('named@production')).body.digest).toBe(zero.digest);
    await api.put('named', { snapshots: { 0: zero.digest, 1: one.digest } });
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
    await api.dataset('chained');
    const zero = await api.freeze('chained', 0);
    await api.put('chained', { snapshots: { 0: zero.digest } });
    const path = aliasPath('chained', 'candidate');
    const body = { snapshots: { 0: 'chained@production:0' }, reason: 'the same' };
    expect((await must(api.mo, 201, 'PUT', path, body)).snapshots).toEqual({ 0: zero });
  });

  test('refuses snapshots of another fold or dataset, or none, pointing at each', async () => {
    await api.dataset('refuses');
    await api.dataset('elsewhere');
    const zero = await api.freeze('refuses', 0);
    const foreign = await api.freeze('elsewhere', 2);
    const snapshots = { 0: zero.digest, 1: zero.digest, 2: foreign.digest, 3: 'nothing' };
    const refused = await api.put('refuses', { snapshots });
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
      expect((await api.put('refuses', body)).status).toBe(422);
    }
    const name = aliasPath('refuses', 'a@b');
    expect(
      (await api.mo.call('PUT', name, { snapshots: { 0: zero.id }, reason: 'x' })).status,
    ).toBe(400);
    expect((await api.put('refuses', { snapshots: { 0: zero.id } }, api.ann)).status).toBe(403);
    expect((await api.call('GET', aliasPath('refuses'))).status).toBe(404);
    expect((await must(api, 200, 'GET', '/v1/datasets/refuses/aliases')).items).toEqual([]);
  });

  test('shows the cases of its snapshots that were withdrawn since, each once', async () => {
    await api.dataset('withdrawn');
    const [zero, one] = [await api.freeze('withdrawn', 0), await api.freeze('withdrawn', 1)];
    await api.put('withdrawn', { snapshots: { 0: zero.digest, 1: one.digest } });
    for (const caseId of ['case_0002', 'case_0001']) {
      const body = { caseId, reason: 'consent' };
      await must(api.ed, 201, 'POST', '/v1/datasets/withdrawn/withdrawals', body);
    }
    const alias = await must(api, 200, 'GET', aliasPath('withdrawn'));
    expect(alias.withdrawn).toEqual(['case_0001', 'case_0002']);
    const fresh = await api.freeze('withdrawn', 0);
    const moved = await api.put('withdrawn', { snapshots: { 0: fresh.digest } });
    expect(moved.body.withdrawn).toEqual([]);
  });

  test('is listed in pages, each once, at its newest move', async () => {
    await api.dataset('paged');
    const [zero, one] = [await api.freeze('paged', 0), await api.freeze('paged', 1)];
    for (const [name, folds] of [
      ['a', { 0: zero.id }],
      ['b', { 0: zero.id }],
      ['c', { 1: one.id }],
      ['a', { 1: one.id }],
    ] as const) {
      await api.mo.call('PUT', aliasPath('paged', name), { snapshots: folds, reason: 'x' });
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
    await api.dataset('numbers');
    const [first, second] = [
      await api.freeze('numbers', 0),
      await api.freeze('numbers', 0, 'rare@2'),
    ];
    const to = (snapshot: Named, expected: number) =>
      api.put('numbers', { snapshots: { 0: snapshot.id }, expected });
    expect((await to(first, 1)).body.detail).toContain('is not there yet, not at 1');
    expect((await to(first, 0)).status).toBe(201);
    const late = await to(second, 0);
    expect([late.status, late.body.detail]).toEqual([
      409,
      expect.stringContaining('stands at number 1'),
    ]);
    const body = { snapshots: { 0: second.id } };
    const stale = await api.put('numbers', body, api.mo, { 'if-match': '"7"' });
    expect(stale.status).toBe(409);
    expect((await api.put('numbers', body, api.mo, { 'if-match': 'x' })).status).toBe(400);
    const response = await api.send('GET', aliasPath('numbers'));
    const etag = response.headers.get('etag') as string;
    expect((await api.put('numbers', body, api.mo, { 'if-match': etag })).body.number).toBe(2);
  });

  test('the second one is refused, and only one move is stored', async () => {
    await api.dataset('race');
    const [first, second] = [await api.freeze('race', 0), await api.freeze('race', 0, 'rare@2')];
    const deps = withMeanwhile(api.deps, () => api.put('race', { snapshots: { 0: first.id } }));
    const actor = await actorOfToken(api.deps, api.mo.token);
    const input = { dataset: 'race', alias: 'production', reason: 'mine' };
    await expect(
      putAlias(deps, actor, { ...input, snapshots: { 0: second.id } }),
    ).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('at the same moment'),
    });
    const { history } = await must(api, 200, 'GET', aliasPath('race'));
    expect(history).toMatchObject([{ number: 1, snapshots: { 0: first } }]);
  });
});
