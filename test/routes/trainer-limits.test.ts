// The edges of the trainer protocol: foreign tokens, repeated and racing reports, bodies that are
// too large or wrong.

import { beforeAll, describe, expect, test } from 'vitest';
import { reportLimits } from '../../api/contract/trainer.ts';
import { adminToken } from '../support/app.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';

let api: JobTest;
beforeAll(async () => {
  api = await openJobTest();
});

const point = (value: number) => ({ name: 'loss', value, step: 1 });
const metricsOf = async (id: string) =>
  (await api.call('GET', `/v1/jobs/${id}/metrics?limit=10000`)).body.items;

async function launched() {
  const { id } = await api.launch();
  const token = api.launcher.launches.get(api.keyOf(id))?.token ?? '';
  return { id, token, trainer: api.trainer(id), headers: { authorization: `Bearer ${token}` } };
}

describe('the token of an attempt', () => {
  test('opens nothing but the trainer protocol', async () => {
    const { id, headers } = await launched();
    for (const path of [`/v1/jobs/${id}`, '/v1/audit', '/v1/datasets']) {
      expect((await api.call('GET', path, undefined, headers)).status).toBe(401);
    }
  });

  test('is asked for before the body is read: a stranger learns nothing of what is valid', async () => {
    const headers = { authorization: `Bearer ${adminToken}` };
    for (const path of ['reports', 'finish']) {
      const answer = await api.call('POST', `/v1/trainer/${path}`, { nonsense: 1 }, headers);
      expect(answer.status).toBe(401);
    }
  });

  test('stands in no answer and in no audit entry', async () => {
    const { id, token } = await launched();
    expect(token).toMatch(/^cw_[0-9a-z]{52}$/);
    expect(JSON.stringify(await api.read(id))).not.toContain(token);
    expect(await (await api.send('GET', '/v1/audit/export')).text()).not.toContain(token);
  });
});

describe('a report', () => {
  test('sent twice at once is stored once', async () => {
    const { id, trainer } = await launched();
    await trainer.report({ sequence: 0 });
    const body = { sequence: 1, metrics: [point(2)] };
    const answers = await Promise.all([trainer.report(body), trainer.report(body)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await metricsOf(id)).toHaveLength(1);
  });

  test('that arrives as its attempt ends is stored, or refused with 409: never lost in silence', async () => {
    const { id, trainer } = await launched();
    await trainer.report({ sequence: 0 });
    const exit = { code: 1, signal: null };
    api.launcher.observe(api.keyOf(id), { state: 'exited', exit });
    const report = trainer.report({ sequence: 1, metrics: [point(1)] });
    const [{ status }] = await Promise.all([report, api.tick()]);
    expect([200, 409]).toContain(status);
    expect(await metricsOf(id)).toHaveLength(status === 200 ? 1 : 0);
    expect((await trainer.report({ sequence: 2 })).status).toBe(409);
  });

  test.each([
    [
      'a number that is not finite',
      '{"sequence":0,"metrics":[{"name":"l","value":1e999,"step":1}]}',
    ],
    ['an unknown key', '{"sequence":0,"mertics":[]}'],
    ['no sequence', '{"metrics":[]}'],
    [
      'too many metrics',
      JSON.stringify({ sequence: 0, metrics: Array(reportLimits.metrics + 1).fill(point(1)) }),
    ],
  ])('with %s is refused whole', async (_, text) => {
    const { id, headers } = await launched();
    const json = { ...headers, 'content-type': 'application/json' };
    expect((await api.send('POST', '/v1/trainer/reports', text, json)).status).toBe(422);
    expect(await metricsOf(id)).toEqual([]);
  });

  test('with as many metrics as allowed is taken', async () => {
    const { id, trainer } = await launched();
    const metrics = Array.from({ length: reportLimits.metrics }, (_, k) => point(k));
    expect((await trainer.report({ sequence: 0, metrics })).status).toBe(200);
    expect(await metricsOf(id)).toHaveLength(reportLimits.metrics);
  });

  test.each([
    ['tells its length', true],
    ['comes in chunks', false],
  ])('over 1 MB that %s is refused with 413', async (_, told) => {
    const text = JSON.stringify({ sequence: 0, log: 'x'.repeat(reportLimits.bytes) });
    const { headers } = await launched();
    const length: Record<string, string> = told ? { 'content-length': String(text.length) } : {};
    const answer = await api.app.request('/v1/trainer/reports', {
      method: 'POST',
      headers: { ...headers, ...length, 'content-type': 'application/json' },
      body: new Blob([text]).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(answer.status).toBe(413);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  test('leaves the tail of the log, not all of it', async () => {
    const { id, trainer } = await launched();
    await trainer.report({ sequence: 0, log: `first${'.'.repeat(65_000)}` });
    await trainer.report({ sequence: 1, log: `${'.'.repeat(1_000)}last` });
    const log = await (await api.send('GET', `/v1/jobs/${id}/log`)).text();
    expect([log.length, log.startsWith('first'), log.endsWith('last')]).toEqual([
      65_536,
      false,
      true,
    ]);
  });
});

describe('the final report', () => {
  test('is the first one: later ones are no fault and change nothing, even after the end', async () => {
    const { id, trainer } = await launched();
    const summary = { steps: 8 };
    await trainer.finish({ outcome: 'succeeded', summary });
    expect((await trainer.finish({ outcome: 'failed', error: 'late' })).status).toBe(200);
    const exit = { code: 0, signal: null };
    api.launcher.observe(api.keyOf(id), { state: 'exited', exit });
    await api.tick();
    expect((await trainer.finish({ outcome: 'failed' })).status).toBe(200);
    expect(await api.read(id)).toMatchObject({ state: 'succeeded', summary });
  });

  test('with an outcome that is none is refused', async () => {
    const { id, trainer } = await launched();
    expect((await trainer.finish({ outcome: 'perfect' })).status).toBe(422);
    expect((await api.read(id)).state).toBe('queued');
  });
});
