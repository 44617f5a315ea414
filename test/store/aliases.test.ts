// Moves of an alias, revocations, approvals at once on a real Postgres: no move is stored after the
// revocation of what allowed it, and each number is one move.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type Sending, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must } from '../support/builders.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

describe.skipIf(noPostgres())('moves and revocations at the same time', () => {
  let postgres: TestPostgres;
  let api: TestApp;
  let people: Sending[];
  const digests: string[] = [];
  beforeAll(async () => {
    postgres = await startPostgres();
    api = await openTestApp({ database: postgres.database });
    digests.push((await frozenSnapshot(api)).snapshot.digest);
    const rules = { sampling: { terms: [], floor: 0.5, cap: 2 }, correction: { strength: 1 } };
    const body = { name: 'even', rules: { target: { terms: [] }, ...rules }, reason: 'other' };
    await must(api, 201, 'POST', '/v1/datasets/phantom/rule-sets', body);
    const freeze = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'even@1', reason: 'other' };
    digests.push((await must(api, 201, 'POST', '/v1/datasets/phantom/snapshots', freeze)).digest);
    people = await Promise.all(
      ['ann', 'bea', 'cas', 'dan'].map((name) => api.as(name, 'approver')),
    );
  });
  afterAll(() => postgres?.stop());

  const move = (alias: string, digest: string, more: object = {}) =>
    api.call('PUT', `/v1/datasets/phantom/aliases/${alias}`, {
      snapshots: { 0: digest },
      reason: 'go',
      ...more,
    });
  const entries = async () => (await must(api, 200, 'GET', '/v1/audit?limit=500')).items as any[];

  test('each number is one move, and one of two moves at once is told to read again', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, k) => move('busy', digests[k % 2])),
    );
    const { history } = await must(api, 200, 'GET', '/v1/datasets/phantom/aliases/busy');
    expect(history.map(({ number }: any) => number)).toEqual(
      history.map((_: any, k: number) => k + 1),
    );
    const entriesOfMoves = (await entries()).filter(({ subject }) => subject.endsWith('/busy'));
    expect(entriesOfMoves.map(({ detail }) => detail.number)).toEqual(
      history.map(({ number }: any) => number),
    );
    for (const { status, body } of answers) {
      if (status !== 200 && status !== 201) {
        expect([status, body.detail]).toEqual([409, expect.stringContaining('same moment')]);
      }
    }
  });

  test('no move stands in the chain after the revocation of what allowed it', async () => {
    for (const [round, ann] of people.entries()) {
      const path = `/v1/snapshots/${digests[round % 2]}/approvals`;
      const meant = { meaning: `round ${round}`, reason: 'seen' };
      const { id } = await must(ann, 201, 'POST', path, meant);
      const [moved] = await Promise.all([
        move(`guarded-${round}`, digests[round % 2], { protected: true }),
        ann.call('POST', `${path}/${id}/revoke`, { reason: 'no' }),
      ]);
      expect([201, 409]).toContain(moved.status);
      const all = await entries();
      const revokedAt = all.findIndex(
        ({ action, detail }) => action === 'approval.revoked' && detail.approval === id,
      );
      const movedAt = all.findIndex(
        ({ action, detail }) => action === 'alias.moved' && detail.approvals.includes(id),
      );
      expect(revokedAt).toBeGreaterThan(-1);
      expect(movedAt < revokedAt).toBe(true);
      expect(movedAt === -1).toBe(moved.status === 409);
    }
    expect((await must(api, 200, 'GET', '/v1/audit/verify')).ok).toBe(true);
  });

  test('of two equal approvals at once one stands', async () => {
    const path = `/v1/snapshots/${digests[0]}/approvals`;
    const meant = { meaning: 'at once', reason: 'seen' };
    const answers = await Promise.all([1, 2, 3].map(() => people[0].call('POST', path, meant)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  });

  test('of the last two admins one stays, whoever revokes at once', async () => {
    const [own] = (await must(api, 200, 'GET', '/v1/tokens')).items;
    const other = await api.as('other', 'admin');
    const answers = await Promise.all([
      api.call('DELETE', `/v1/tokens/${other.tokenId}`),
      other.call('DELETE', `/v1/tokens/${own.id}`),
    ]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const asked = await Promise.all([api, other].map((one) => one.call('GET', '/v1/tokens')));
    expect(asked.map(({ status }) => status).sort()).toEqual([200, 401]);
  });
});
