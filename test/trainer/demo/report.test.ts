// What the demo says at its end, and when it may say that everything is proven.

import { expect, test } from 'vitest';
import type { Job } from '../../../api/contract/jobs.ts';
import { settingsOf } from '../../../trainer/demo/demo.ts';
import { allProven, type DemoJob, demoJob, reportText } from '../../../trainer/demo/report.ts';

const dice = { organ: 0.95, lesion: null, mean: 0.95 };

function ended(changes: object = {}): Job {
  return {
    id: 'j',
    state: 'succeeded',
    progress: { step: 20, steps: 20 },
    verifiedDraws: { verified: 10, partial: 0, mismatch: 0 },
    summary: { seconds: 12.5, steps: 20, backend: 'wasm', dice, groups: { 'site=A': dice } },
    ...changes,
  } as unknown as Job;
}

const jobOf = (changes: object = {}, name = 'uniform'): DemoJob =>
  demoJob({ name, job: ended(changes), digest: 'sha256:d', effectiveFraction: 0.81 });

test('a job has exactly the fields of the document for machines', () => {
  expect(jobOf()).toEqual({
    name: 'uniform',
    id: 'j',
    state: 'succeeded',
    snapshot: 'sha256:d',
    seconds: 12.5,
    steps: 20,
    dice,
    groups: { 'site=A': dice },
    ledger: { verified: 10, partial: 0, mismatch: 0 },
    effectiveFraction: 0.81,
  });
});

test('a job that failed has no Dice, and the steps that it came to', () => {
  const failed = { state: 'failed', summary: null, progress: { step: 7, steps: 20 } };
  expect(jobOf(failed)).toMatchObject({ state: 'failed', steps: 7, seconds: 0, dice: {} });
});

test('the table has classes, groups and draws side by side; what was not measured is a dash', () => {
  const jobs = [jobOf(), jobOf({ state: 'failed', summary: null }, 'weighted')];
  const rows = reportText({ seconds: 1, backend: 'wasm', jobs }).split('\n');
  const cells = rows.map((row) => row.split(/ {2,}/));
  expect(cells).toContainEqual(['Dice organ', '0.950', '-']);
  expect(cells).toContainEqual(['Dice lesion', '-', '-']);
  expect(cells).toContainEqual(['Dice mean, site=A', '0.950', '-']);
  expect(cells).toContainEqual(['effective fraction', '81.0 %', '81.0 %']);
});

test.each([
  ['both succeeded with every epoch verified', {}, true],
  ['one failed', { state: 'failed' }, false],
  ['one epoch is missing', { verifiedDraws: { verified: 9, partial: 0, mismatch: 0 } }, false],
  ['one epoch is partial', { verifiedDraws: { verified: 9, partial: 1, mismatch: 0 } }, false],
  [
    'one epoch is not as planned',
    { verifiedDraws: { verified: 9, partial: 0, mismatch: 1 } },
    false,
  ],
])('when %s, proven is %s', (_, changes, proven) => {
  const report = { seconds: 1, backend: 'wasm', jobs: [jobOf(), jobOf(changes)] };
  expect(allProven(report, 10)).toBe(proven);
});

test.each([
  [300, 10, 60],
  [150, 10, 30],
  [7, 10, 2],
  [1, 1, 2],
])('%i steps in %i epochs are %i draws each, in whole batches', (steps, epochs, draws) => {
  const settings = settingsOf({ steps, epochs, backend: 'auto' });
  expect(settings).toMatchObject({ epochs, drawsPerEpoch: draws, validateEvery: epochs });
  expect(settings.drawsPerEpoch % settings.batchSize).toBe(0);
});
