// The SQL of GPU hours against a reference that does the same sums in plain TypeScript.

import { eq } from 'drizzle-orm';
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { UsageItem, UsageKind } from '../../api/contract/usage.ts';
import { listAttempts } from '../../api/store/attempts.ts';
import type { JobRow } from '../../api/store/jobs.ts';
import { workspaces } from '../../api/store/schema.ts';
import { jobAttempts, jobs } from '../../api/store/schema-jobs.ts';
import { listUsage } from '../../api/store/usage.ts';
import { must } from '../support/builders.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';

const start = Date.parse('2026-03-01T00:00:00Z');
const at = (seconds: number) => new Date(start + seconds * 1000);

let api: JobTest;
let pattern: JobRow;
let datasets: { id: string; name: string }[];
beforeAll(async () => {
  api = await openJobTest();
  const { id } = await api.launch();
  [pattern] = await api.database.orm.select().from(jobs).where(eq(jobs.id, id));
  const other = await must(api, 201, 'POST', '/v1/datasets', { name: 'brain', attributes: {} });
  datasets = [
    { id: pattern.datasetId, name: 'phantom' },
    { id: other.id, name: 'brain' },
  ];
});

// Seconds from the start; few distinct values, so that edges meet.
const second = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 100_000 }));
const attempt = fc.record({
  created: second,
  startsAfter: fc.option(second, { nil: null }),
  endsAfter: fc.option(second, { nil: null }),
});
const job = fc.record({
  gpus: fc.integer({ min: 0, max: 8 }),
  dataset: fc.constantFrom(0, 1),
  actor: fc.constantFrom('ann', 'bo'),
  target: fc.constantFrom('local', 'cluster'),
  attempts: fc.array(attempt, { minLength: 1, maxLength: 3 }),
});
const history = fc.record({
  made: fc.array(job, { maxLength: 6 }),
  from: second,
  length: fc.integer({ min: 1, max: 100_000 }),
  now: second,
});

type Made = typeof history extends fc.Arbitrary<{ made: infer Jobs }> ? Jobs : never;

type Ran = {
  job: string;
  gpus: number;
  keys: Record<UsageKind, { key: string; name: string }>;
  startedAt: number;
  endedAt: number | null;
};

/** What `listUsage` has to answer, in integer milliseconds. */
function reference(
  ran: Ran[],
  { by, from, to, now }: Record<'from' | 'to' | 'now', number> & { by: UsageKind },
) {
  const groups = new Map<string, { name: string; jobs: Set<string>; ms: number[] }>();
  for (const { job: id, gpus, keys, startedAt, endedAt } of ran) {
    const end = Math.min(endedAt ?? now, now, to);
    const begins = startedAt >= from && startedAt < to && startedAt <= now;
    if (!begins && !(startedAt < from && end > from)) continue;
    const { key, name } = keys[by];
    const one = groups.get(key) ?? { name, jobs: new Set(), ms: [0, 0, 0, 0] };
    const ms = Math.max(0, end - Math.max(startedAt, from));
    const more = [gpus * ms, ms, 1, endedAt === null ? 1 : 0];
    one.ms = one.ms.map((value, place) => value + more[place]);
    one.jobs.add(id);
    groups.set(key, one);
  }
  const list = [...groups].map(([key, one]) => ({ key, ...one }));
  list.sort((a, b) => b.ms[0] - a.ms[0] || b.ms[1] - a.ms[1] || (a.key < b.key ? -1 : 1));
  return list.map(({ key, name, jobs: { size }, ms: [gpuMs, ms, attempts, running] }) => ({
    key,
    name,
    gpuHours: expect.closeTo(gpuMs / 3_600_000, 9),
    hours: expect.closeTo(ms / 3_600_000, 9),
    attempts,
    jobs: size,
    running,
  }));
}

let count = 0;

async function stored(made: Made) {
  const workspaceId = `w${++count}`;
  const { orm } = api.database;
  await orm.insert(workspaces).values({ id: workspaceId, name: workspaceId, createdAt: at(0) });
  const [attemptPattern] = await listAttempts(orm, [pattern.id]);
  const ran: Ran[] = [];
  for (const [place, { gpus, dataset, actor, target, attempts }] of made.entries()) {
    const id = `${workspaceId}-${place}`;
    const row = { ...pattern, id, workspaceId, datasetId: datasets[dataset].id, target };
    const resources = { ...pattern.resources, gpus: { count: gpus } };
    await orm.insert(jobs).values({ ...row, createdBy: actor, resources });
    for (const [number, { created, startsAfter, endsAfter }] of attempts.entries()) {
      const startedAt = startsAfter === null ? null : at(created + startsAfter);
      const endedAt = endsAfter === null ? null : at(created + (startsAfter ?? 0) + endsAfter);
      const key = { attempt: number + 1, launchKey: `cw-${id}-${number + 1}`, tokenDigest: null };
      const times = { createdAt: at(created), startedAt, endedAt };
      await orm.insert(jobAttempts).values({ ...attemptPattern, ...key, jobId: id, ...times });
      if (startedAt === null) continue;
      const same = (name: string) => ({ key: name, name });
      const { id: key2, name } = datasets[dataset];
      const keys = {
        job: { key: id, name: 'phantom fold 0' },
        dataset: { key: key2, name },
        actor: same(actor),
        target: same(target),
      };
      const ms = { startedAt: startedAt.getTime(), endedAt: endedAt?.getTime() ?? null };
      ran.push({ job: id, gpus, keys, ...ms });
    }
  }
  return { workspaceId, ran };
}

const byAll: UsageKind[] = ['job', 'dataset', 'actor', 'target'];

const nothing = { gpuHours: 0, hours: 0, attempts: 0, jobs: 0, running: 0 };

test('sums are those of the reference, by whatever, on every page', async () => {
  await fc.assert(
    fc.asyncProperty(history, async ({ made, from, length, now }) => {
      const { workspaceId, ran } = await stored(made);
      const times = { from: at(from), to: at(from + length), at: at(now) };
      const ms = { from: +times.from, to: +times.to, now: +times.at };
      for (const by of byAll) {
        const pages: UsageItem[] = [];
        const all = { key: 'all', name: 'all' };
        const asOne = ran.map((one) => ({ ...one, keys: { ...one.keys, [by]: all } }));
        const [{ key: _, name: __, ...sums } = { ...all, ...nothing }] = reference(asOne, {
          by,
          ...ms,
        });
        for (let offset = 0; offset === pages.length; offset += 3) {
          const query = { workspaceId, by, ...times, offset, limit: 3 };
          const { items, total } = await listUsage(api.database.orm, query);
          expect(total).toEqual(sums);
          pages.push(...items);
        }
        expect(pages).toEqual(reference(ran, { by, ...ms }));
      }
    }),
    { numRuns: 30 },
  );
});
