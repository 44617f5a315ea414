// Approvals over HTTP: by somebody else than the author, of a digest, until they are revoked.

import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type Sending, type TestApp } from '../support/app.ts';
import { committedDataset, frozenSnapshot, must, rules } from '../support/builders.ts';

let api: TestApp;
let ann: Sending;
let bea: Sending;
beforeAll(async () => {
  api = await openTestApp();
  ann = await api.as('ann', 'approver');
  bea = await api.as('bea', 'approver');
});

const meant = { meaning: 'clinical review', reason: 'lesions looked at' };
const pathOf = (snapshot: string) => `/v1/snapshots/${snapshot}/approvals`;
const actionsOf = async (digest: string) => {
  const { items } = await must(api, 200, 'GET', `/v1/audit?subject=snapshot/${digest}`);
  return items.map(({ action }: { action: string }) => action);
};

describe('approving', () => {
  test('binds to the digest, says who and why, and stands in the audit chain', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'bound' });
    const made = await ann.call('POST', pathOf(snapshot.id), meant);
    expect(made).toEqual({
      status: 201,
      body: {
        id: made.body.id,
        snapshot: snapshot.digest,
        ...meant,
        createdAt: api.deps.now().toISOString(),
        createdBy: 'ann',
        revoked: null,
      },
    });
    expect(await must(api, 200, 'GET', pathOf(snapshot.digest))).toEqual({
      items: [made.body],
      nextCursor: null,
    });
    const { items } = await must(api, 200, 'GET', '/v1/audit?action=snapshot.approved');
    expect(items).toMatchObject([
      {
        actor: 'ann',
        subject: `snapshot/${snapshot.digest}`,
        reason: meant.reason,
        detail: { approval: made.body.id, meaning: meant.meaning },
      },
    ]);
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('is refused to whoever froze it, with any token of theirs', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'own' });
    const admin = await api.call('POST', pathOf(snapshot.digest), meant);
    expect([admin.status, admin.body.detail]).toEqual([
      403,
      expect.stringContaining('admin froze this snapshot; it is approved by someone else'),
    ]);
    const again = await api.as('admin', 'approver');
    expect((await again.call('POST', pathOf(snapshot.digest), meant)).status).toBe(403);
    expect(await actionsOf(snapshot.digest)).toEqual(['snapshot.frozen']);
  });

  test('is refused to the author of another snapshot with the same digest', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'twins' });
    // The rules leave this case out: withdrawing it gives other inputs and the same numbers.
    const { id: caseId } = snapshot.excluded[0];
    const gone = { caseId, reason: 'consent' };
    await must(api, 201, 'POST', '/v1/datasets/twins/withdrawals', gone);
    const editor = await api.as('bea', 'editor');
    const body = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'rare@1', reason: 'again' };
    const twin = await must(editor, 201, 'POST', '/v1/datasets/twins/snapshots', body);
    expect([twin.digest, twin.id === snapshot.id]).toEqual([snapshot.digest, false]);
    expect((await bea.call('POST', pathOf(snapshot.id), meant)).status).toBe(403);
    expect((await ann.call('POST', pathOf(snapshot.id), meant)).status).toBe(201);
    expect((await must(api, 200, 'GET', pathOf(twin.id))).items).toHaveLength(1);
  });

  test('stands once for a person and a meaning; others and other meanings stand beside it', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'once' });
    const path = pathOf(snapshot.digest);
    const first = await must(ann, 201, 'POST', path, meant);
    const second = await ann.call('POST', path, { ...meant, reason: 'once more' });
    expect([second.status, second.body.detail]).toEqual([409, expect.stringContaining(first.id)]);
    await must(ann, 201, 'POST', path, { ...meant, meaning: 'statistics' });
    await must(bea, 201, 'POST', path, meant);
    const { items } = await must(api, 200, 'GET', path);
    expect(items.map((one: any) => [one.createdBy, one.meaning])).toEqual([
      ['ann', 'clinical review'],
      ['ann', 'statistics'],
      ['bea', 'clinical review'],
    ]);
    expect(await actionsOf(snapshot.digest)).toEqual([
      'snapshot.frozen',
      ...Array(3).fill('snapshot.approved'),
    ]);
  });

  test('needs a role, a meaning, a reason and a snapshot that is there', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'needs' });
    const path = pathOf(snapshot.digest);
    for (const role of ['reader', 'editor', 'launcher'] as const) {
      const someone = await api.as('someone', role);
      expect((await someone.call('POST', path, meant)).status).toBe(403);
      expect((await someone.call('GET', path)).status).toBe(200);
    }
    expect((await ann.call('POST', path, { reason: 'x' })).status).toBe(422);
    expect((await ann.call('POST', path, { meaning: 'x', reason: ' ' })).status).toBe(422);
    expect((await ann.call('POST', pathOf('nothing'), meant)).status).toBe(404);
    expect((await must(api, 200, 'GET', path)).items).toEqual([]);
  });

  test('is listed in pages, each once', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'paged' });
    const path = pathOf(snapshot.digest);
    for (const meaning of ['a', 'b', 'c'])
      await must(ann, 201, 'POST', path, { ...meant, meaning });
    const first = await must(api, 200, 'GET', `${path}?limit=2`);
    const second = await must(api, 200, 'GET', `${path}?limit=2&cursor=${first.nextCursor}`);
    expect([...first.items, ...second.items].map(({ meaning }) => meaning)).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(second.nextCursor).toBeNull();
  });
});

describe('revoking an approval', () => {
  test('keeps it with who, when and why, once; then it may be given again', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'revoked' });
    const path = pathOf(snapshot.digest);
    const approval = await must(ann, 201, 'POST', path, meant);
    api.moveClock(1000);
    const why = { reason: 'the scans were swapped' };
    const revoked = await must(bea, 200, 'POST', `${path}/${approval.id}/revoke`, why);
    expect(revoked).toEqual({
      ...approval,
      revoked: { ...why, createdAt: api.deps.now().toISOString(), createdBy: 'bea' },
    });
    expect((await must(api, 200, 'GET', path)).items).toEqual([revoked]);
    const again = await ann.call('POST', `${path}/${approval.id}/revoke`, why);
    expect([again.status, again.body.detail]).toEqual([409, expect.stringContaining('by bea')]);
    await must(ann, 201, 'POST', path, meant);
    expect(await actionsOf(snapshot.digest)).toEqual([
      'snapshot.frozen',
      'snapshot.approved',
      'approval.revoked',
      'snapshot.approved',
    ]);
  });

  test('needs a reason, the role, and the snapshot that it is of', async () => {
    const { snapshot } = await frozenSnapshot(api, { name: 'kept' });
    await committedDataset(api, { name: 'foreign' });
    const added = { name: 'rare', rules, reason: 'same' };
    await must(api, 201, 'POST', '/v1/datasets/foreign/rule-sets', added);
    const body = { version: 1, split: 'five-fold', fold: 1, ruleSet: 'rare@1', reason: 'other' };
    const other = await must(api, 201, 'POST', '/v1/datasets/foreign/snapshots', body);
    const { id } = await must(ann, 201, 'POST', pathOf(snapshot.digest), meant);
    const why = { reason: 'no' };
    expect((await ann.call('POST', `${pathOf(other.digest)}/${id}/revoke`, why)).status).toBe(404);
    expect((await ann.call('POST', `${pathOf(snapshot.digest)}/${id}/revoke`, {})).status).toBe(
      422,
    );
    const reader = await api.as('rita', 'reader');
    const refused = await reader.call('POST', `${pathOf(snapshot.digest)}/${id}/revoke`, why);
    expect(refused.status).toBe(403);
    expect((await must(api, 200, 'GET', pathOf(snapshot.id))).items[0].revoked).toBeNull();
  });
});
