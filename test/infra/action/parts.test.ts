// Parts of the action alone: text of strangers in a summary, conditions, and when a session is
// renewed on a clock that is moved.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { conditionsOf } from '../../../infra/action/inputs.ts';
import { block, shown, table } from '../../../infra/action/markdown.ts';
import { type Dice, gateFaults, meanDice, stateOf } from '../../../infra/action/results.ts';
import type { World } from '../../../infra/action/service.ts';
import { sessionsOf } from '../../../infra/action/session.ts';

describe('text of others', () => {
  test('stays in its cell, and is no markup, mention or line of its own', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(shown(text)).not.toMatch(/[<>|`*_~[\]()@\\!\n\r]/);
        expect(table(['a'], [[shown(text)]])[2].split('|')).toHaveLength(3);
      }),
    );
  });

  test('cannot close the block that it stands in', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[`\na]{0,30}$/), (text) => {
        const [open, ...rest] = block('', text).join('\n').split('\n');
        expect(rest.indexOf(open)).toBe(rest.length - 1);
      }),
    );
  });
});

describe('conditions', () => {
  test.each([
    ['dice.mean < 0.7', { figure: 'dice.mean', least: 0.7, ofMean: false }],
    [' dice.Ganglion_A<.5 ', { figure: 'dice.Ganglion_A', least: 0.5, ofMean: false }],
    ['mean( dice.mean ) < 1', { figure: 'dice.mean', least: 1, ofMean: true }],
  ])('"%s" is one', (text, condition) => {
    expect(conditionsOf(`\n${text}\n`)).toEqual([{ ...condition, text: text.trim() }]);
  });

  test.each(['dice.mean', 'dice.mean <= 1', 'dice.mean < x', 'mean(dice.mean < 1', 'a b < 1'])(
    '"%s" is none',
    (text) => {
      expect(() => conditionsOf(text)).toThrow('is no condition, as dice.mean < 0.7');
    },
  );

  test('on a figure that a job does not have fail it, and say what it has', () => {
    const jobs = [{ summary: { dice: { organ: 0.9 } }, snapshot: { fold: 2 } }] as never;
    expect(gateFaults(jobs, conditionsOf('dice.tumor < 0.1'))).toEqual([
      'gate not met: the job has no figure dice.tumor; it has dice.organ',
    ]);
  });
});

test('the mean over folds leaves out what could not be measured', () => {
  const folds: Dice[] = [{ a: 0.5, b: null }, { a: 1, b: 0.25 }, { c: null }];
  expect(meanDice(folds)).toEqual({ a: 0.75, b: 0.25, c: null });
});

test.each([
  [['succeeded', 'succeeded'], 'succeeded'],
  [['succeeded', 'running'], 'running'],
  [['cancelled', 'running', 'failed'], 'failed'],
] as const)('of jobs that are %j the state is %s', (states, state) => {
  expect(stateOf(states.map((one) => ({ state: one })) as never)).toBe(state);
});

describe('a session of fifteen minutes', () => {
  const minute = 60_000;
  const start = Date.parse('2026-03-01T09:00:00Z');

  /** A service whose clock is hours before the runner's, so that only its own date helps. */
  function exchanging() {
    let now = 0;
    const state = { away: false, exchanges: 0 };
    const world: World = {
      env: { ACTIONS_ID_TOKEN_REQUEST_URL: 'http://github/?a=1' },
      fetch: (async (url: string) => {
        if (url.startsWith('http://github/')) return Response.json({ value: 'jwt' });
        if (state.away) throw new TypeError('fetch failed');
        state.exchanges += 1;
        const expiresAt = new Date(start + now + 15 * minute).toISOString();
        const body = { token: `cw_${state.exchanges}`, expiresAt };
        const headers = { date: new Date(start + now).toUTCString() };
        return Response.json(body, { status: 201, headers });
      }) as typeof fetch,
      sleep: async () => {},
      random: () => 0,
      now: () => now,
      log: () => {},
    };
    const inputs = { api: 'http://service', audience: 'a', policy: undefined };
    const sessions = sessionsOf(world, inputs, () => {});
    const at = async (minutes: number) => {
      now = minutes * minute;
      return await sessions.current();
    };
    return { state, sessions, at };
  }

  test('is kept for ten, and renewed then', async () => {
    const { at } = exchanging();
    expect([await at(0), await at(9.9), await at(10.1), await at(19)]).toEqual([
      'cw_1',
      'cw_1',
      'cw_2',
      'cw_2',
    ]);
  });

  test('is used to its end where no other can be had, and not longer', async () => {
    const { at, state } = exchanging();
    await at(0);
    state.away = true;
    expect(await at(14)).toBe('cw_1');
    await expect(at(15.1)).rejects.toThrow('no answer from http://service');
    state.away = false;
    expect(await at(16)).toBe('cw_2');
  });

  test('is exchanged once where several requests want it at once', async () => {
    const { sessions, state } = exchanging();
    const tokens = await Promise.all([1, 2, 3].map(() => sessions.current()));
    expect([tokens, state.exchanges]).toEqual([['cw_1', 'cw_1', 'cw_1'], 1]);
    const again = await Promise.all([1, 2].map(() => sessions.renewed('cw_1')));
    expect([again, state.exchanges]).toEqual([['cw_2', 'cw_2'], 2]);
    expect(await sessions.renewed('cw_1')).toBe('cw_2');
    expect(state.exchanges).toBe(2);
  });
});
