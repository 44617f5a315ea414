// Webhooks from the command line, against the service in process.

import { beforeAll, describe, expect, test } from 'vitest';
import { commandLine } from '../../support/command-line.ts';
import { openWebhookTest, type WebhookTest } from '../../support/webhooks.ts';

let api: WebhookTest;
beforeAll(async () => {
  api = await openWebhookTest();
});

const counterweight = (...args: string[]) => commandLine(api, ['webhooks', ...args]);
const url = 'https://hooks.example.org/in';
const why = ['--reason', 'the lab wants to know'];

async function added(...more: string[]): Promise<string> {
  const { out } = await counterweight('add', url, ...why, '--json', ...more);
  return JSON.parse(out).id;
}

describe('webhooks', () => {
  test('add writes the secret alone to stdout; list shows the webhook and not the secret', async () => {
    const made = await counterweight('add', url, '--events', 'job.ended, snapshot.*', ...why);
    expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/)]);
    expect(made.said).toMatch(/^webhook \w{26} for job\.ended, snapshot\.\*; its secret is shown/);
    const listed = await counterweight('list');
    expect(listed.out).toMatch(/\w{26} +active +0 +0 +never +https:\/\/hooks\.example\.org\/in$/m);
    expect(listed.said).toMatch(/^\w{26} is well$/);
    expect(listed.out + listed.said + made.said).not.toContain(made.out.slice(6));
    await counterweight(
      'remove',
      JSON.parse((await counterweight('list', '--json')).out).items[0].id,
    );
  });

  test('deliveries shows why one did not arrive; redeliver sends the dead ones again', async () => {
    const id = await added('--events', 'token.*');
    api.answerWith(() => ({ status: 403, text: 'not you' }));
    await api.happen();
    await api.happen();
    await api.tick();
    const waiting = await counterweight('deliveries', id, '--state', 'pending');
    expect(waiting.out).toMatch(/token\.created +pending +1 +answered 403: not you; next at 2026-/);
    expect((await counterweight('list')).said).toBe(
      `${id} fails since 2026-03-01T09:00:00.000Z: answered 403: not you`,
    );
    for (let k = 0; k < 10; k += 1) {
      api.moveClock(86_400_000);
      await api.tick();
    }
    api.answerWith(() => ({}));
    expect((await counterweight('list')).out).toMatch(/ disabled +0 +2 /);
    const refused = await counterweight('redeliver', id);
    expect([refused.code, refused.said]).toEqual([3, expect.stringContaining('is disabled')]);
    expect((await counterweight('enable', id, ...why)).said).toBe(`webhook ${id} is active`);
    const all = await counterweight('redeliver', id);
    expect([all.code, all.said]).toEqual([0, '2 to be sent again']);
    await api.tick();
    const arrived = await counterweight('deliveries', id, '--json');
    const { items } = JSON.parse(arrived.out);
    expect(items.map(({ state }: any) => state)).toEqual(['delivered', 'delivered']);
    const single = await counterweight('redeliver', id, items[0].id, '--json');
    expect(JSON.parse(single.out).items).toMatchObject([{ id: items[0].id, state: 'pending' }]);
    const removed = await counterweight('remove', id);
    expect(removed.said).toBe(`webhook ${id} is removed; 1 were still to be sent`);
  });

  test('test says whether a ping arrived, by its exit code too', async () => {
    api.answerWith(() => ({}));
    const id = await added();
    const arrived = await counterweight('test', id);
    expect([arrived.code, arrived.said]).toEqual([0, 'the ping arrived: answered 200']);
    api.answerWith(() => ({ status: 500 }));
    const lost = await counterweight('test', id, '--json');
    expect([lost.code, lost.said]).toEqual([1, expect.stringContaining('answered 500')]);
    expect(JSON.parse(lost.out).state).toBe('dead');
  });

  test.each([
    [['add', 'https://127.0.0.1/', ...why], 3, 'not public'],
    [['add', url], 2, '--reason'],
    [['deliveries', 'x', '--state', 'lost'], 2, 'pending'],
    [['remove', 'x'], 3, 'no webhook "x"'],
  ])('%j is refused', async (args, code, words) => {
    const refused = await counterweight(...args);
    expect([refused.code, refused.said]).toEqual([code, expect.stringContaining(words)]);
  });
});
