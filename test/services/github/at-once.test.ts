// Exchanges on a real Postgres, as the role of the service: what several connections do at the same
// moment, and which rows the role may change.

import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { rows } from '../../../api/store/database.ts';
import { must } from '../../support/builders.ts';
import { type GithubTest, openGithubTest } from '../../support/github.ts';
import { runClaims } from '../../support/github-issuer.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../../support/postgres.ts';

describe.skipIf(noPostgres())('on real Postgres', () => {
  let postgres: TestPostgres;
  let api: GithubTest;
  beforeAll(async () => {
    postgres = await startPostgres();
    api = await openGithubTest(postgres.database);
  });
  afterAll(async () => {
    api?.issuer.close();
    await postgres?.stop();
  });

  const stored = async (jti: string) =>
    await rows(postgres.owner.orm, sql`select id from github_sessions where jti = ${jti}`);

  test('of many exchanges of one token at once exactly one wins, each time', async () => {
    const policy = await api.policy();
    for (let round = 0; round < 5; round++) {
      const claims = runClaims(api.deps.now());
      const token = await api.issuer.sign(claims);
      const answers = await Promise.all(Array.from({ length: 6 }, () => api.exchangeToken(token)));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(5).fill(401)]);
      expect(await stored(String(claims.jti))).toHaveLength(1);
    }
    const made = '/v1/audit?action=github.session.created&limit=500';
    expect((await must(api, 200, 'GET', made)).items).toHaveLength(5);
    await must(api, 200, 'DELETE', `/v1/github/policies/${policy.id}`);
  });

  test('a policy that is removed while runs exchange leaves no session that works', async () => {
    const policy = await api.policy();
    const answers = await Promise.all([
      api.exchange(),
      api.call('DELETE', `/v1/github/policies/${policy.id}`),
      api.exchange(),
    ]);
    expect(answers[1].status).toBe(200);
    for (const { status, body } of [answers[0], answers[2]]) {
      expect([201, 403]).toContain(status);
      if (status !== 201) continue;
      const headers = { authorization: `Bearer ${body.token}` };
      const late = await api.call('GET', '/v1/datasets/phantom', undefined, headers);
      expect(late.status).toBe(401);
    }
  });

  test('sessions that can be used no more are forgotten; policies are changed by removal only', async () => {
    const policy = await api.policy();
    const claims = runClaims(api.deps.now());
    expect((await api.exchangeToken(await api.issuer.sign(claims))).status).toBe(201);
    api.moveClock(3_600_000);
    expect((await api.exchange()).status).toBe(201);
    expect(await stored(String(claims.jti))).toEqual([]);
    const { orm } = postgres.database;
    const said = async (statement: ReturnType<typeof sql>) => {
      const error: Error = await orm.execute(statement).then(
        () => new Error('it was not refused'),
        (caught: Error) => caught.cause as Error,
      );
      return error.message;
    };
    const denied = 'permission denied for table github_policies';
    expect(await said(sql`update github_policies set repository_id = '1'`)).toBe(denied);
    expect(await said(sql`delete from github_policies`)).toBe(denied);
    expect(await said(sql`update github_sessions set dry_run_only = false`)).toBe(
      'permission denied for table github_sessions',
    );
    await must(api, 200, 'DELETE', `/v1/github/policies/${policy.id}`);
  });
});
