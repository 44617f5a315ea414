// Counting requests: one suite for every counter, who is counted as whom, and what a refused
// request hears.

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../api/app.ts';
import type { Deps } from '../../api/deps.ts';
import {
  type Budget,
  type Budgets,
  defaultBudgets,
  type RateLimiter,
  readBudgets,
} from '../../api/http/rate-limits.ts';
import {
  bindingLimiter,
  chunkedLimiter,
  memoryLimiter,
  nodeLimiter,
  storedLimiter,
} from '../../api/services/rate-limits.ts';
import type { Database } from '../../api/store/database.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { openTestDatabase } from '../support/database.ts';
import { noPostgres, startPostgres, type TestPostgres } from '../support/postgres.ts';

const budget: Budget = { name: 'token', perSecond: 10, burst: 100 };
let at = Date.parse('2026-03-01T09:00:00Z');
const now = () => new Date(at);
let names = 0;
const newKey = () => `token:${names++}`;

let database: Database;
let postgres: TestPostgres | undefined;
beforeAll(async () => {
  database = await openTestDatabase();
  if (!noPostgres()) postgres = await startPostgres();
});
afterAll(async () => {
  await database.close();
  await postgres?.stop();
});

const limiters: [string, () => RateLimiter][] = [
  ['in memory', () => memoryLimiter(now)],
  ['in the database', () => storedLimiter({ database, now })],
  ['in the database, by parts', () => chunkedLimiter(storedLimiter({ database, now }), now)],
];

const allowedOf = async (limiter: RateLimiter, key: string, times: number, cost = 1) => {
  let allowed = 0;
  for (let k = 0; k < times; k++) {
    if ((await limiter.take({ key, cost, budget })).allowed) allowed += 1;
  }
  return allowed;
};

describe.each(limiters)('a counter %s', (_, limiterOf) => {
  test('lets a burst through, then what comes free a second, and no more', async () => {
    const [limiter, key] = [limiterOf(), newKey()];
    expect(await allowedOf(limiter, key, 130)).toBe(100);
    at += 1000;
    expect(await allowedOf(limiter, key, 30)).toBe(10);
    at += 60_000;
    expect(await allowedOf(limiter, key, 130)).toBe(100);
  });

  test('says after how long there is room again, and then there is', async () => {
    const [limiter, key] = [limiterOf(), newKey()];
    await allowedOf(limiter, key, 100);
    const refused = await limiter.take({ key, cost: 1, budget });
    expect(refused).toMatchObject({ allowed: false, retryAfterSeconds: 1 });
    at += 1000;
    expect(await limiter.take({ key, cost: 1, budget })).toMatchObject({ allowed: true });
  });

  test('keeps keys apart, and a refusal takes nothing', async () => {
    const [limiter, mine, yours] = [limiterOf(), newKey(), newKey()];
    expect(await allowedOf(limiter, mine, 200)).toBe(100);
    expect(await allowedOf(limiter, yours, 1)).toBe(1);
    at += 100;
    expect(await allowedOf(limiter, mine, 1, 50)).toBe(0);
    at += 900;
    expect(await allowedOf(limiter, mine, 20)).toBe(10);
  });
});

test('any order of takings and pauses allows at most a burst and what came free', async () => {
  const steps = fc.array(fc.record({ cost: fc.integer({ min: 1, max: 30 }), pause: fc.nat(2000) }));
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      const [limiter, key, from] = [memoryLimiter(now), newKey(), at];
      let used = 0;
      for (const { cost, pause } of taken) {
        at += pause;
        if ((await limiter.take({ key, cost, budget })).allowed) used += cost;
        expect(used).toBeLessThanOrEqual(budget.burst + ((at - from) * budget.perSecond) / 1000);
      }
    }),
  );
});

test('two processes on one database allow together what one budget does', async () => {
  const both = [1, 2].map(() => chunkedLimiter(storedLimiter({ database, now }), now));
  const key = newKey();
  let allowed = 0;
  for (let k = 0; k < 100; k++) {
    const answers = await Promise.all(both.map((one) => one.take({ key, cost: 1, budget })));
    allowed += answers.filter((answer) => answer.allowed).length;
  }
  expect(allowed).toBe(100);
});

test('taking by parts costs a statement for many requests, also for many at once', async () => {
  let asked = 0;
  const counted: RateLimiter = {
    take: (each) => {
      asked += 1;
      return memoryShared.take(each);
    },
  };
  const memoryShared = memoryLimiter(now);
  const limiter = chunkedLimiter(counted, now);
  const key = newKey();
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => limiter.take({ key, cost: 1, budget })),
  );
  expect(answers.every(({ allowed }) => allowed)).toBe(true);
  expect(asked).toBe(20); // a twentieth of the burst at a time
  for (let k = 0; k < 50; k++) await limiter.take({ key, cost: 1, budget });
  expect(asked).toBe(22); // refused once for a part and once for itself, then here
});

describe.skipIf(noPostgres())('on real Postgres', () => {
  test('the role of the service counts tokens there, and strangers in memory', async () => {
    const { database: stored, owner } = postgres as TestPostgres;
    const limiter = nodeLimiter({ database: stored, now });
    await limiter.take({ key: 'token:x', cost: 1, budget });
    await limiter.take({ key: 'address:y', cost: 1, budget: { ...budget, name: 'address' } });
    const result = await owner.orm.execute('select key from rate_counters');
    expect((result as unknown as { rows: unknown[] }).rows).toEqual([{ key: 'token:x' }]);
  });
});

test('a binding of the platform is asked with the key, by its budget', async () => {
  const asked: string[] = [];
  const binding = (name: string, success: boolean) => ({
    limit: async ({ key }: { key: string }) => {
      asked.push(`${name} ${key}`);
      return { success };
    },
  });
  const limiter = bindingLimiter({ token: binding('all', true), trainer: binding('own', false) });
  const of = (name: Budget['name']) =>
    limiter.take({ key: 'k', cost: 1, budget: { ...budget, name } });
  expect(await of('token')).toEqual({ allowed: true, retryAfterSeconds: 0 });
  expect(await of('address')).toEqual({ allowed: true, retryAfterSeconds: 0 });
  expect(await of('trainer')).toEqual({ allowed: false, retryAfterSeconds: 10 });
  expect(asked).toEqual(['all k', 'all k', 'own k']);
});

describe('the environment', () => {
  test('changes what it names', () => {
    const token: Budget = { name: 'token', perSecond: 5, burst: 7 };
    expect(readBudgets('token=5/7')).toEqual({ ...defaultBudgets, token });
    expect(readBudgets(undefined)).toEqual(defaultBudgets);
    expect(readBudgets('off')).toBeNull();
  });

  test.each(['token=5', 'tokens=5/7', 'token=0/7', 'toString=1/1', 'token=-1/7', '5/7'])(
    '%s stops the start',
    (text) => {
      expect(() => readBudgets(text)).toThrow('CW_RATE_LIMITS');
    },
  );
});

describe('the service', () => {
  const few = (burst: number): Budgets => ({
    address: { name: 'address', perSecond: 1, burst },
    token: { name: 'token', perSecond: 1, burst: 3 },
    trainer: { name: 'trainer', perSecond: 1, burst: 5 },
  });
  let api: TestApp;
  let app: TestApp['app'];
  let deps: Deps;
  let opened = 0;
  let address = '192.0.2.1';
  const open = async (burst: number) => {
    api = await openTestApp({ database, process: ++opened });
    const limiter = memoryLimiter(api.deps.now);
    const rateLimits = { budgets: few(burst), limiter, lately: new Set<string>() };
    deps = { ...api.deps, rateLimits, addressOf: () => address };
    app = createApp(deps);
  };
  const get = (path: string, token?: string) =>
    app.request(path, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  const statuses = async (path: string, times: number, token?: string) => {
    const found: number[] = [];
    for (let k = 0; k < times; k++) found.push((await get(path, token)).status);
    return found;
  };

  test('counts a stranger by address, whatever path and whatever token', async () => {
    await open(4);
    const found = [
      ...(await statuses('/health', 1)),
      ...(await statuses('/v1/nothing', 1)),
      ...(await statuses('/v1/datasets', 1, 'cw_guess_1')),
      ...(await statuses('/v1/trainer/job', 1, 'cw_guess_2')),
      ...(await statuses('/v1/datasets', 1, 'cw_guess_3')),
      ...(await statuses('/health', 1)),
    ];
    expect(found).toEqual([200, 401, 401, 401, 429, 429]);
    address = '192.0.2.2';
    expect(await statuses('/health', 1)).toEqual([200]);
  });

  test('a known token passes where its address is used up, with a budget of its own', async () => {
    await open(3);
    expect(await statuses('/v1/datasets', 1, api.token)).toEqual([200]);
    expect(await statuses('/v1/datasets', 3, 'cw_guess')).toEqual([401, 401, 429]);
    expect(await statuses('/v1/datasets', 4, api.token)).toEqual([200, 200, 200, 429]);
  });

  test('a token that a public path was sent with is no known token', async () => {
    await open(3);
    expect(await statuses('/health', 4, 'cw_guess')).toEqual([200, 200, 200, 429]);
  });

  test('a token that is revoked is counted by address again', async () => {
    await open(100);
    const reader = await api.as('r', 'reader');
    expect(await statuses('/v1/datasets', 2, reader.token)).toEqual([200, 200]);
    await api.send('DELETE', `/v1/tokens/${reader.tokenId}`);
    expect(await statuses('/v1/datasets', 6, reader.token)).toEqual([401, 401, 401, 401, 401, 401]);
  });

  test('a refusal is a problem document that says for how long, and asks no database', async () => {
    await open(1);
    const database = {} as Database; // whatever is asked of it fails
    app = createApp({ ...deps, database });
    await get('/openapi.json');
    const refused = await get('/v1/datasets', 'cw_guess');
    expect(refused.status).toBe(429);
    expect(refused.headers.get('content-type')).toBe('application/problem+json');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(refused.headers.get('ratelimit-policy')).toBe('"address";q=1;w=1');
    expect(refused.headers.get('ratelimit')).toBe('"address";r=0;t=1');
    expect(await refused.json()).toMatchObject({
      type: '/docs#problem-rate-limited',
      detail: expect.stringContaining('from this address'),
    });
  });

  test('an answer says what is left', async () => {
    await open(3);
    const answer = await get('/health');
    expect(answer.headers.get('ratelimit')).toBe('"address";r=2;t=1');
  });
});
