// Metrics are stored by report and series and read as one list: whatever a trainer reports, every
// reader sees the numbers in the order in which they came, as a plain list would give them.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Metric } from '../../api/contract/trainer.ts';
import {
  listLastMetrics,
  listLastPoints,
  listMetrics,
  listPoints,
  metricChunks,
} from '../../api/store/metrics.ts';
import { type JobTest, openJobTest } from '../support/jobs.ts';

let job: JobTest;
beforeAll(async () => {
  job = await openJobTest();
});
afterAll(() => job.database.close());

const metric: fc.Arbitrary<Metric> = fc
  .record(
    {
      name: fc.constantFrom('loss', 'dice', 'diceMean'),
      value: fc.double({ noNaN: true, noDefaultInfinity: true }),
      step: fc.oneof(fc.nat({ max: 100 }), fc.constant(2 ** 31 - 1)),
      epoch: fc.nat({ max: 3 }),
      group: fc.constantFrom('site=A', 'site=B', 'scoreDecile=3'),
      class: fc.constantFrom('organ', 'lesion'),
    },
    { requiredKeys: ['name', 'value', 'step'] },
  )
  // JSON knows no negative zero.
  .map((one) => ({ ...one, value: one.value + 0 }));

const reports = fc.array(fc.array(metric, { maxLength: 12 }), { minLength: 1, maxLength: 6 });

/** Every page of a list, as clients read it. */
async function pages(query: { jobId: string; name?: string; group?: string }, limit: number) {
  const all: unknown[] = [];
  for (let after = 0; ; ) {
    const page = await listMetrics(job.database.orm, { ...query, after, limit });
    all.push(...page);
    if (page.length < limit) return all;
    after = page[page.length - 1].sequence;
  }
}

test('every reader sees the numbers as they came, at any size of a page', async () => {
  await fc.assert(
    fc.asyncProperty(reports, fc.integer({ min: 1, max: 7 }), async (batches, limit) => {
      const { id: jobId } = await job.launch();
      for (const [sequence, metrics] of batches.entries()) {
        expect((await job.trainer(jobId).report({ sequence, metrics })).status).toBe(200);
      }
      const plain = batches
        .flat()
        .map(({ epoch = null, group = null, class: of = null, ...one }, k) => ({
          ...one,
          jobId,
          attempt: 1,
          sequence: k + 1,
          epoch,
          group,
          class: of,
        }));
      const orm = job.database.orm;
      expect(await pages({ jobId }, limit)).toEqual(plain);
      const ofLoss = plain.filter(({ name }) => name === 'loss');
      expect(await pages({ jobId, name: 'loss' }, limit)).toEqual(ofLoss);
      const ofSite = plain.filter(({ name, group }) => name === 'dice' && group === 'site=A');
      expect(await pages({ jobId, name: 'dice', group: 'site=A' }, limit)).toEqual(ofSite);
      const names = ['loss', 'dice'];
      const known = plain.filter(({ name }) => names.includes(name));
      expect(await listPoints(orm, jobId, { names, groups: 'some' })).toEqual(
        known.filter(({ group }) => group !== null),
      );
      expect(await listPoints(orm, jobId, { names, groups: { prefix: 'site=' } })).toEqual(
        known.filter(({ group }) => group?.startsWith('site=')),
      );
      const single = { names: ['loss'], groups: 'none' as const, limit };
      expect(await listLastPoints(orm, jobId, single)).toEqual(
        ofLoss.filter(({ group }) => group === null).slice(-limit),
      );
      const series = new Map(plain.map((one) => [`${one.name} ${one.group} ${one.class}`, one]));
      const last = await listLastMetrics(orm, [jobId]);
      expect(new Set(last)).toEqual(new Set(series.values()));
    }),
    { numRuns: 25 },
  );
});

test('a report of one series is one row, whose places are not stored', () => {
  const points = Array.from({ length: 1_000 }, (_, step) => ({ name: 'loss', value: 0.5, step }));
  const rows = metricChunks(points);
  expect(rows).toHaveLength(1);
  expect(rows[0]).toMatchObject({
    first: 1,
    last: 1_000,
    points: 1_000,
    places: null,
    epochs: null,
  });
});

test('series that are reported in turns keep their places', () => {
  const turns = [0, 1].flatMap((step) => [
    { name: 'loss', value: step, step },
    { name: 'dice', value: step, step, epoch: step },
  ]);
  expect(metricChunks(turns)).toMatchObject([
    { name: 'loss', first: 1, last: 3, places: [0, 2], epochs: null },
    { name: 'dice', first: 2, last: 4, places: [0, 2], epochs: [0, 1] },
  ]);
});
