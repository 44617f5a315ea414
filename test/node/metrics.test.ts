// The numbers for Prometheus: the text format, what they say of jobs and the database, labels that
// nobody can multiply, and the listener of their own.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Answered } from '../../api/deps.ts';
import { createMetrics, type Metrics } from '../../api/node/metrics.ts';
import { listenForMetrics } from '../../api/node/metrics-listener.ts';
import type { Database } from '../../api/store/database.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';
import { openWebhookTest } from '../support/webhooks.ts';

let api: JobTest;
let metrics: Metrics;
beforeAll(async () => {
  api = await openJobTest();
  metrics = createMetrics(api.database, { targets: ['local'], version: '1.2.3' });
});
afterAll(() => api?.database.close());

/** Lines of the text format by name and labels. */
function valuesIn(text: string): Record<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => {
      const [, series, value] = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      if (series === undefined) throw new Error(`no line of the text format: ${line}`);
      return [series, Number(value)];
    }),
  );
}

const answered = (route: string, more: Partial<Answered> = {}) => ({
  ...{ requestId: 'r', traceId: 't', method: 'GET', route, status: 200, actor: 'a' },
  ...{ seconds: 0.03, ...more },
});

test('are in the text format, each with its help and type, and named after the product', async () => {
  const text = await metrics.text();
  const named = text.match(/^# HELP (\S+)/gm) ?? [];
  expect((text.match(/^# TYPE (\S+)/gm) ?? []).length).toBe(named.length);
  const values = valuesIn(text);
  expect(values).toMatchObject({
    'counterweight_build_info{version="1.2.3"}': 1,
    counterweight_database_up: 1,
  });
  expect(values.process_resident_memory_bytes).toBeGreaterThan(1e6);
  const ours = named.filter((line) => !/ (process|nodejs)_/.test(line));
  expect(ours.length).toBeGreaterThan(8);
  for (const line of ours) expect(line).toMatch(/^# HELP counterweight_[a-z_]+$/);
});

test('count jobs and attempts by state and target, and audit entries', async () => {
  const first = await api.launch();
  const second = await api.launch({ seed: 8 });
  await api.tick();
  await api.call('POST', `/v1/jobs/${first.id}/cancel`, { reason: 'test' });
  const { sequence } = (await api.call('GET', '/v1/audit/head')).body;
  const [ending, live] = [(await api.read(first.id)).state, (await api.read(second.id)).state];
  expect(ending).not.toBe(live);
  expect(valuesIn(await metrics.text())).toMatchObject({
    [`counterweight_jobs{state="${ending}",target="local"}`]: 1,
    [`counterweight_jobs{state="${live}",target="local"}`]: 1,
    [`counterweight_attempts{state="${live}",target="local"}`]: 2,
    counterweight_audit_sequence: sequence,
    counterweight_audit_chains_unanchored: 1,
  });
});

test('count what webhooks are still to be told, and what they were told in vain', async () => {
  const webhooks = await openWebhookTest();
  const measured = createMetrics(webhooks.database, { targets: [], version: '1' });
  await webhooks.add(['token.created']);
  await webhooks.happen();
  const pending = 'counterweight_webhook_deliveries{state="pending"}';
  const dead = 'counterweight_webhook_deliveries{state="dead"}';
  expect(valuesIn(await measured.text())).toMatchObject({ [pending]: 1, [dead]: 0 });
  webhooks.answerWith(() => ({ status: 410 }));
  await webhooks.tick();
  expect(valuesIn(await measured.text())).toMatchObject({ [pending]: 0, [dead]: 1 });
  await webhooks.database.close();
});

test('call a target that is no longer configured "other"', async () => {
  const bare = createMetrics(api.database, { targets: [], version: '1' });
  const names = Object.keys(valuesIn(await bare.text()));
  expect(names.filter((name) => name.includes('target="local"'))).toEqual([]);
  expect(
    names.filter((name) => /^counterweight_jobs\{.*target="other"\}$/.test(name)),
  ).toHaveLength(2);
});

test('count requests by route, method and status, and those under way', async () => {
  const [one, other] = [metrics.request(), metrics.request()];
  one(answered('/v1/jobs/{id}'));
  const values = valuesIn(await metrics.text());
  const labels = 'method="GET",route="/v1/jobs/{id}",status="200"';
  expect(values).toMatchObject({
    counterweight_http_requests_in_flight: 1,
    [`counterweight_http_request_seconds_count{${labels}}`]: 1,
    [`counterweight_http_request_seconds_bucket{le="0.025",${labels}}`]: 0,
    [`counterweight_http_request_seconds_bucket{le="0.05",${labels}}`]: 1,
  });
  other(answered('/v1/jobs/{id}', { method: 'PROPFIND' }));
  metrics.request()(answered('/v1/jobs/{id}', { method: 'MKCOL' }));
  const after = valuesIn(await metrics.text());
  expect(after.counterweight_http_requests_in_flight).toBe(0);
  const methods = 'method="other",route="/v1/jobs/{id}",status="200"';
  expect(after[`counterweight_http_request_seconds_count{${methods}}`]).toBe(2);
});

test('name nothing that people sent: no id, dataset, case or actor stands in a label', async () => {
  const text = await metrics.text();
  const { items } = (await api.call('GET', '/v1/jobs')).body;
  for (const secret of ['phantom', api.snapshot, api.token, ...items.map(({ id }: any) => id)]) {
    expect(text).not.toContain(secret);
  }
});

test('count ticks and those that failed', async () => {
  metrics.tick({ name: 'anchor', seconds: 0.2, failed: false });
  metrics.tick({ name: 'anchor', seconds: 0.2, failed: true });
  expect(valuesIn(await metrics.text())).toMatchObject({
    'counterweight_tick_seconds_count{tick="anchor"}': 2,
    'counterweight_tick_failures_total{tick="anchor"}': 1,
  });
});

test('say that the database is away, and the rest with it', async () => {
  const away = { ...api.database, orm: { execute: () => Promise.reject(new Error('away')) } };
  const alone = createMetrics(away as unknown as Database, { targets: ['local'], version: '1' });
  alone.request();
  const values = valuesIn(await alone.text());
  expect(values).toMatchObject({
    counterweight_database_up: 0,
    counterweight_http_requests_in_flight: 1,
  });
  const stale = Object.keys(values).filter((name) => /_(jobs|attempts|audit)/.test(name));
  expect(stale).toEqual([]);
});

test('show how many connections the pool has', async () => {
  const pool = { ...api.database, connections: () => ({ open: 7, idle: 3, waiting: 2 }) };
  const pooled = createMetrics(pool, { targets: [], version: '1' });
  expect(valuesIn(await pooled.text())).toMatchObject({
    'counterweight_database_connections{state="idle"}': 3,
    'counterweight_database_connections{state="busy"}': 4,
    'counterweight_database_connections{state="waiting"}': 2,
  });
});

test('have a listener that answers this and nothing else', async () => {
  const { server, close } = await listenForMetrics(metrics, { host: '127.0.0.1', port: 0 });
  const { port } = server.address() as { port: number };
  const at = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
  const answer = await at('/metrics?x=1');
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
  expect(valuesIn(await answer.text()).counterweight_database_up).toBe(1);
  expect((await at('/v1/jobs')).status).toBe(404);
  expect((await at('/metrics', { method: 'POST' })).status).toBe(405);
  close();
});
