// Sending against a made-up fetch: what is tried again and after which pause, when a try is too
// slow, what a caller that gives up leaves behind, and a token that is renewed.

import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import {
  type RenewableToken,
  type SenderOptions,
  type SendFailure,
  senderOf,
} from '../../api/contract/sending.ts';

type Step = Error | { status?: number; body?: string; headers?: Record<string, string> } | 'silent';

/** A sender whose requests are answered step by step, the last one again and again. */
function sending(steps: Step[], more: Partial<SenderOptions> = {}) {
  const sent: Headers[] = [];
  const pauses: number[] = [];
  let now = 0;
  const send = senderOf({
    api: 'http://service',
    token: 'cw_x',
    fetch: (async (_url: string, { headers, signal }: RequestInit) => {
      sent.push(new Headers(headers));
      const step = steps.length > 1 ? (steps.shift() as Step) : steps[0];
      if (step === 'silent') return await silence(signal as AbortSignal);
      if (step instanceof Error) throw step;
      const { status = 200, body = '', headers: given } = step;
      return new Response(body, { status, headers: given });
    }) as typeof fetch,
    sleep: async (milliseconds) => {
      pauses.push(milliseconds);
      now += milliseconds;
    },
    random: () => 1,
    now: () => now,
    patience: { tries: 5 },
    timeoutMs: 60_000,
    ...more,
  });
  return { send, sent, pauses };
}

const silence = (signal: AbortSignal) =>
  new Promise<Response>((_, refuse) => {
    signal.addEventListener('abort', () => refuse(signal.reason));
  });

const lost = Object.assign(new TypeError('fetch failed'), { cause: { code: 'ECONNRESET' } });
const away = { status: 503 };
const failureOf = async (work: Promise<unknown>): Promise<SendFailure> =>
  await work.then(
    () => expect.fail('it did not fail'),
    (error: SendFailure) => error,
  );

describe('pauses', () => {
  test('are drawn below a bound that doubles up to half a minute', async () => {
    const { send, pauses } = sending([lost], { patience: { tries: 9 } });
    await failureOf(send('GET', '/'));
    expect(pauses).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  test('take the whole range down to none, so that many clients do not come back as one', async () => {
    await fc.assert(
      fc.asyncProperty(fc.double({ min: 0, max: 1, noNaN: true }), async (drawn) => {
        const { send, pauses } = sending([lost], { random: () => drawn });
        await failureOf(send('GET', '/'));
        expect(pauses).toEqual([800, 1600, 3200, 6400].map((bound) => bound * drawn));
      }),
    );
  });

  test.each([
    ['seconds', { 'retry-after': '7' }, 7_000],
    [
      'a date, on the clock of whoever answered',
      { 'retry-after': 'Sun, 01 Mar 2026 09:00:21 GMT', date: 'Sun, 01 Mar 2026 09:00:00 GMT' },
      21_000,
    ],
    [
      'a date that is over',
      { 'retry-after': 'Sun, 01 Mar 2026 08:00:00 GMT', date: 'Sun, 01 Mar 2026 09:00:00 GMT' },
      800,
    ],
    ['a date without a clock', { 'retry-after': 'Sun, 01 Mar 2026 09:00:21 GMT' }, 800],
    ['no time at all', { 'retry-after': 'soon' }, 800],
    ['too long', { 'retry-after': '86400' }, 60_000],
  ])('follow Retry-After: %s', async (_, headers, pause) => {
    const { send, pauses } = sending([{ ...away, headers: headers as never }, {}]);
    await send('GET', '/');
    expect(pauses).toEqual([pause]);
  });

  test('end when the time is over, where there is one', async () => {
    const { send, sent, pauses } = sending([lost], { patience: { forMs: 6_000 } });
    await failureOf(send('GET', '/'));
    expect([sent.length, pauses]).toEqual([4, [800, 1600, 3200]]);
  });
});

describe('a try', () => {
  test('that is too slow is given up and tried again', async () => {
    const { send, sent } = sending(['silent', {}], { timeoutMs: 1 });
    expect((await send('GET', '/')).status).toBe(200);
    expect(sent).toHaveLength(2);
  });

  test('of what may not be repeated is not, and says how long it took', async () => {
    const { send, sent } = sending(['silent', {}], { timeoutMs: 1 });
    const { sending: kind, message } = await failureOf(send('POST', '/'));
    expect([kind, message, sent.length]).toEqual(['unreachable', 'no answer within 0.001 s', 1]);
  });

  test('whose connection is lost half-way is tried again, where the answer is wanted whole', async () => {
    const broken = () =>
      new ReadableStream({
        pull: (controller) => controller.error(new TypeError('terminated')),
      });
    for (const [whole, tries] of [
      [true, 2],
      [false, 1],
    ] as const) {
      let made = 0;
      const fetch = async () => new Response(made++ === 0 ? broken() : 'all of it');
      const { send } = sending([], { whole, fetch: fetch as never });
      const text = (await send('GET', '/')).text();
      if (whole) expect(await text).toBe('all of it');
      else await expect(text).rejects.toThrow('terminated');
      expect(made).toBe(tries);
    }
  });

  test('with a key whose first request still runs waits for its answer', async () => {
    const running = { status: 409, headers: { 'retry-after': '1' } };
    const { send, pauses } = sending([running, { status: 201 }]);
    const headers = { 'idempotency-key': 'k' };
    expect((await send('POST', '/', { headers })).status).toBe(201);
    expect(pauses).toEqual([1_000]);
  });

  test('that meets a conflict is not repeated', async () => {
    const { send, sent } = sending([{ status: 409 }, {}]);
    expect((await send('POST', '/', { headers: { 'idempotency-key': 'k' } })).status).toBe(409);
    expect(sent).toHaveLength(1);
  });
});

describe('a caller that gives up', () => {
  test('ends the request', async () => {
    const caller = new AbortController();
    const { send, sent } = sending(['silent']);
    const failed = failureOf(send('GET', '/', { signal: caller.signal }));
    await vi.waitFor(() => expect(sent).toHaveLength(1));
    caller.abort();
    expect((await failed).sending).toBe('cancelled');
    expect(sent).toHaveLength(1);
  });

  test('in a pause sends nothing more', async () => {
    const caller = new AbortController();
    const { send, sent } = sending([lost], { sleep: async () => caller.abort() });
    const { sending: kind } = await failureOf(send('GET', '/', { signal: caller.signal }));
    expect([kind, sent.length]).toEqual(['cancelled', 1]);
  });
});

describe('a token that can be renewed', () => {
  function renewable(others: (string | null)[]) {
    const refused: string[] = [];
    let current = 'first';
    const token: RenewableToken = {
      current: async () => current,
      renewed: async (old) => {
        refused.push(old);
        const other = others.shift() ?? null;
        current = other ?? current;
        return other;
      },
    };
    return { token, refused };
  }
  const bearers = (sent: Headers[]) => sent.map((headers) => headers.get('authorization'));

  test('is, once, after a 401, and the request goes out again, also one that creates', async () => {
    const { token, refused } = renewable(['second']);
    const { send, sent, pauses } = sending([{ status: 401 }, { status: 201 }], { token });
    expect((await send('POST', '/')).status).toBe(201);
    expect(bearers(sent)).toEqual(['Bearer first', 'Bearer second']);
    expect([refused, pauses]).toEqual([['first'], []]);
  });

  test('and is refused again is an answer', async () => {
    const { token, refused } = renewable(['second', 'third']);
    const { send, sent } = sending([{ status: 401 }], { token });
    expect((await send('GET', '/')).status).toBe(401);
    expect([sent.length, refused]).toEqual([2, ['first']]);
  });

  test('is not renewed where there is no other', async () => {
    const { token } = renewable([null]);
    const { send, sent } = sending([{ status: 401 }], { token });
    expect((await send('GET', '/')).status).toBe(401);
    expect(sent).toHaveLength(1);
  });
});
