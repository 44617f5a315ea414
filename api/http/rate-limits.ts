// How many requests somebody may make. A token that was found valid here lately has a budget of its
// own; everybody else shares one with their address, and is counted before anything is looked up.

import { createMiddleware } from 'hono/factory';
import { ProblemError } from '../errors.ts';
import { sha256Text } from '../ids.ts';
import type { Env } from './context.ts';

/** So many requests at once, and so many a second from then on. */
export type Budget = { name: BudgetName; perSecond: number; burst: number };
export type BudgetName = 'address' | 'token' | 'trainer';
export type Budgets = Record<BudgetName, Budget>;

/** `remaining` is there where the limiter knows it. */
export type Taken = { allowed: boolean; retryAfterSeconds: number; remaining?: number };

export interface RateLimiter {
  /** Takes from what the budget allows a key; takes nothing where that is not enough. */
  take: (asked: { key: string; cost: number; budget: Budget }) => Promise<Taken>;
}

export type RateLimits = {
  budgets: Budgets;
  limiter: RateLimiter;
  /** Digests of the tokens that were valid here lately. */
  lately: Set<string>;
};

/** 100 jobs reporting every second, and a million cases pushed in parts, are far below these. */
export const defaultBudgets: Budgets = {
  address: { name: 'address', perSecond: 50, burst: 1000 },
  token: { name: 'token', perSecond: 200, burst: 2000 },
  trainer: { name: 'trainer', perSecond: 100, burst: 1000 },
};

const rememberedTokens = 10_000;

/**
 * Reads `token=200/2000,trainer=100/1000,address=50/1000` (a second / at once); what is not named
 * keeps its default. `off` is null. Throws an Error that says what is wrong.
 */
export function readBudgets(text: string | undefined): Budgets | null {
  if (text?.trim() === 'off') return null;
  const budgets = { ...defaultBudgets };
  for (const part of (text ?? '').split(',').filter((each) => each.trim() !== '')) {
    const [, name, perSecond, burst] = /^\s*(\w+)=(\d{1,7})\/(\d{1,7})\s*$/.exec(part) ?? [];
    const known = Object.hasOwn(budgets, name ?? '');
    if (!known || Number(perSecond) === 0 || Number(burst) === 0) {
      throw new Error(
        `CW_RATE_LIMITS is off, or address=, token= and trainer= with requests a second / at once, as token=200/2000; not "${part.trim()}"`,
      );
    }
    const budget = name as BudgetName;
    budgets[budget] = { name: budget, perSecond: Number(perSecond), burst: Number(burst) };
  }
  return budgets;
}

const windowOf = ({ burst, perSecond }: Budget) => Math.ceil(burst / perSecond);

function headersOf(budget: Budget, { remaining, retryAfterSeconds }: Taken) {
  const policy = `"${budget.name}";q=${budget.burst};w=${windowOf(budget)}`;
  if (remaining === undefined) return { 'ratelimit-policy': policy };
  const filling = Math.ceil((budget.burst - remaining) / budget.perSecond);
  const reset = remaining > 0 ? filling : retryAfterSeconds;
  return {
    'ratelimit-policy': policy,
    ratelimit: `"${budget.name}";r=${remaining};t=${reset}`,
  };
}

/** Refuses with `rate-limited` whoever has used up their budget; absent limits let all through. */
export function rateLimited(limits: RateLimits | undefined) {
  return createMiddleware<Env>(async (c, next) => {
    if (limits === undefined) return await next();
    const secret = /^Bearer\s+(\S+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
    const digest = secret === undefined ? undefined : await sha256Text(secret);
    const known = digest !== undefined && limits.lately.has(digest);
    const ofToken = c.req.path.startsWith('/v1/trainer/') ? 'trainer' : 'token';
    const budget = limits.budgets[known ? ofToken : 'address'];
    const key = `${budget.name}:${known ? digest : c.get('address')}`;
    const taken = await limits.limiter.take({ key, cost: 1, budget });
    for (const [name, value] of Object.entries(headersOf(budget, taken))) c.header(name, value);
    if (!taken.allowed) throw tooMany(budget, taken);
    await next();
    if (digest !== undefined) remember(limits.lately, digest, c.get('tokenPassed') === true);
  });
}

// A set keeps the order of insertion: the oldest goes first.
function remember(lately: Set<string>, digest: string, passed: boolean): void {
  lately.delete(digest);
  if (!passed) return;
  lately.add(digest);
  const [oldest] = lately;
  if (lately.size > rememberedTokens) lately.delete(oldest);
}

function tooMany(budget: Budget, { retryAfterSeconds }: Taken): ProblemError {
  const whose =
    budget.name === 'address' ? 'from this address without a token known here' : 'with this token';
  return new ProblemError(
    'rate-limited',
    `Too many requests ${whose}: ${budget.perSecond} a second are allowed, ${budget.burst} at once. Wait ${retryAfterSeconds} s.`,
    { retryAfterSeconds },
  );
}
