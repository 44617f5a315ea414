// Who counts the requests: this process alone, the database for several processes, or the platform.
// All count by GCRA: a key has a time at which all that it took is free again, and no more may be
// taken than the budget lets be free within its burst.

import type { Deps } from '../deps.ts';
import { takeFromCounter } from '../store/rate-counters.ts';

type RateLimiter = NonNullable<Deps['rateLimits']>['limiter'];
type Asked = Parameters<RateLimiter['take']>[0];
type Taken = Awaited<ReturnType<RateLimiter['take']>>;

/** Keys that a process remembers; those that are free again are forgotten first. */
const rememberedKeys = 50_000;

const costMs = ({ cost, budget }: Asked) => (cost * 1000) / budget.perSecond;
const burstMs = ({ budget }: Asked) => (budget.burst * 1000) / budget.perSecond;

/** What a key that is free again at `freeAt` is told: after taking, where it was allowed. */
function told(asked: Asked, { allowed, freeAt, now }: TakenAt): Taken {
  const used = Math.max(0, freeAt - now);
  const remaining = Math.max(
    0,
    Math.floor(((burstMs(asked) - used) * asked.budget.perSecond) / 1000),
  );
  if (allowed) return { allowed, remaining, retryAfterSeconds: 0 };
  const wait = used + costMs(asked) - burstMs(asked);
  return { allowed, remaining, retryAfterSeconds: Math.max(1, Math.ceil(wait / 1000)) };
}

type TakenAt = { allowed: boolean; freeAt: number; now: number };

/** Counts in this process. */
export function memoryLimiter(now: () => Date): RateLimiter {
  const freeAt = new Map<string, number>();
  return {
    take: async (asked) => {
      const at = now().getTime();
      if (freeAt.size >= rememberedKeys) forgetFree(freeAt, at);
      const before = Math.max(freeAt.get(asked.key) ?? at, at);
      const after = before + costMs(asked);
      const allowed = after - at <= burstMs(asked);
      if (allowed) freeAt.set(asked.key, after);
      return told(asked, { allowed, freeAt: allowed ? after : before, now: at });
    },
  };
}

function forgetFree(freeAt: Map<string, number>, now: number): void {
  for (const [key, at] of freeAt) if (at <= now) freeAt.delete(key);
  // All of them in use: a stranger who sends from everywhere. The oldest start anew.
  for (const key of freeAt.keys()) {
    if (freeAt.size < rememberedKeys / 2) break;
    freeAt.delete(key);
  }
}

/** Counts in the database, for all processes on it. */
export function storedLimiter({ database, now }: Pick<Deps, 'database' | 'now'>): RateLimiter {
  return {
    take: async (asked) => {
      const at = now();
      const cost = costMs(asked);
      const counter = { key: asked.key, now: at, costMs: cost, burstMs: burstMs(asked) };
      const { allowed, freeAt } = await takeFromCounter(database.orm, counter);
      return told(asked, { allowed, freeAt: freeAt.getTime(), now: at.getTime() });
    },
  };
}

type Purse = { left: number; until: number; refusedUntil: number; asking?: Promise<unknown> };

/** How much of a burst is taken at once, and for how long it may be spent. */
const chunkOfBurst = 1 / 20;
const chunkKeptMs = 5_000;

/**
 * In front of a limiter that costs a statement: takes a part of the burst at once and spends it
 * here. Several processes together allow what the budget does, give or take such a part for each.
 */
export function chunkedLimiter(shared: RateLimiter, now: () => Date): RateLimiter {
  const purses = new Map<string, Purse>();
  const purseOf = (key: string, at: number): Purse => {
    if (purses.size >= rememberedKeys) {
      for (const [k, { until, refusedUntil }] of purses)
        if (until <= at && refusedUntil <= at) purses.delete(k);
    }
    const purse = purses.get(key) ?? { left: 0, until: 0, refusedUntil: 0 };
    purses.set(key, purse);
    return purse;
  };
  const fill = async (purse: Purse, asked: Asked): Promise<Taken> => {
    const chunk = Math.max(asked.cost, Math.floor(asked.budget.burst * chunkOfBurst));
    const many = await shared.take({ ...asked, cost: chunk });
    const taken = many.allowed ? many : await shared.take(asked);
    const at = now().getTime();
    if (!taken.allowed) purse.refusedUntil = at + taken.retryAfterSeconds * 1000;
    else purse.left = (many.allowed ? chunk : asked.cost) - asked.cost;
    purse.until = at + chunkKeptMs;
    return taken;
  };
  const take = async (asked: Asked): Promise<Taken> => {
    const at = now().getTime();
    const purse = purseOf(asked.key, at);
    if (at < purse.refusedUntil) {
      const retryAfterSeconds = Math.ceil((purse.refusedUntil - at) / 1000);
      return { allowed: false, remaining: 0, retryAfterSeconds };
    }
    if (at < purse.until && purse.left >= asked.cost) {
      purse.left -= asked.cost;
      return { allowed: true, retryAfterSeconds: 0 };
    }
    if (purse.asking !== undefined) {
      await purse.asking.catch(() => undefined);
      return await take(asked);
    }
    const asking = fill(purse, asked);
    purse.asking = asking;
    try {
      return await asking;
    } finally {
      purse.asking = undefined;
    }
  };
  return { take };
}

/**
 * What a Node process uses. Addresses are counted here alone, so that no stranger costs a
 * statement; tokens for all processes together, where there can be several.
 */
export function nodeLimiter(deps: Pick<Deps, 'database' | 'now'>): RateLimiter {
  const local = memoryLimiter(deps.now);
  if (deps.database.kind === 'pglite') return local;
  const shared = chunkedLimiter(storedLimiter(deps), deps.now);
  return { take: (asked) => (asked.budget.name === 'address' ? local : shared).take(asked) };
}

/** A rate limit of Cloudflare Workers; its limit stands in the deployment's configuration. */
export type RateLimitBinding = { limit: (asked: { key: string }) => Promise<{ success: boolean }> };

/** The shortest period that such a binding counts over. */
const bindingSeconds = 10;

/** Counts by a binding for each budget, or by the first one for all. */
export function bindingLimiter(
  bindings: Partial<Record<Asked['budget']['name'], RateLimitBinding>> & {
    token: RateLimitBinding;
  },
): RateLimiter {
  return {
    take: async ({ key, budget }) => {
      const { success } = await (bindings[budget.name] ?? bindings.token).limit({ key });
      return { allowed: success, retryAfterSeconds: success ? 0 : bindingSeconds };
    },
  };
}
