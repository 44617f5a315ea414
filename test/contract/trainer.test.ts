// The shapes of the trainer protocol.

import { expect, test } from 'vitest';
import {
  fileHashSchema,
  finishSchema,
  reportAnswerSchema,
  reportLimits,
  reportSchema,
  snapshotCaseSchema,
  trainerCaseSchema,
  trainerJobSchema,
} from '../../api/contract/trainer.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

const job = {
  id: 'job1',
  attempt: 1,
  seed: 7,
  settings: {},
  snapshot: {
    digest,
    header: {
      format: 1,
      dataset: 'hippocampus',
      datasetVersionDigest: digest,
      split: 'five-fold',
      fold: 0,
      ruleSetDigest: digest,
      floor: 0.2,
      cap: 5,
      temper: 1,
      strength: 1,
      caseCount: 2,
      parentDigest: null,
      evidenceDigest: null,
      cause: 'rules',
    },
  },
  labels: { background: 0, anterior: 1, both: [1, 2] },
  channels: { '0': 'MRI' },
};

test('a job is read with its settings completed', () => {
  const read = trainerJobSchema.parse(job);
  expect(read.settings.batchSize).toBe(2);
  expect(read.monitors).toEqual({});
  expect(read.groups).toEqual([]);
});

test('a job may say more than the trainer knows, but not with unknown settings', () => {
  expect(trainerJobSchema.safeParse({ ...job, dataset: 'x' }).success).toBe(true);
  expect(trainerJobSchema.safeParse({ ...job, settings: { lr: 1 } }).success).toBe(false);
});

test('a case line gives groups, decile and files', () => {
  const line = {
    id: 'a',
    side: 'val',
    groups: { site: 'B' },
    scoreDecile: 9,
    files: [{ path: 'imagesTr/a_0000.nii.gz', sha256: `sha256:${'AB'.repeat(32)}` }],
  };
  const read = trainerCaseSchema.parse(line);
  expect(read.files[0]!.sha256).toBe('ab'.repeat(32));
  expect(trainerCaseSchema.safeParse({ ...line, side: 'test' }).success).toBe(false);
  expect(trainerCaseSchema.safeParse({ ...line, scoreDecile: 10 }).success).toBe(false);
  expect(fileHashSchema.safeParse('abc').success).toBe(false);
});

test('units of a snapshot line are decimal strings', () => {
  const line = { id: 'a', targetUnits: '4503599627370496', drawUnits: '1', lossFactor: 1 };
  expect(snapshotCaseSchema.safeParse({ ...line, score: 1 }).success).toBe(true);
  expect(snapshotCaseSchema.safeParse({ ...line, drawUnits: 1 }).success).toBe(false);
  expect(snapshotCaseSchema.safeParse({ ...line, drawUnits: '01' }).success).toBe(false);
});

test('an empty report is a heartbeat', () => {
  expect(reportSchema.parse({ sequence: 0 })).toEqual({ sequence: 0, metrics: [] });
});

test.each([
  ['a metric that is not finite', { metrics: [{ name: 'loss', value: Number.NaN, step: 0 }] }],
  ['a misspelt key', { metric: [] }],
  [
    'an empty ledger range',
    { ledger: [{ epoch: 0, snapshot: digest, from: 0, draws: 0, digest }] },
  ],
  ['a case loss that was never seen', { caseLosses: [{ id: 'a', loss: 1, seen: 0 }] }],
  [
    'too many metrics',
    {
      metrics: Array.from({ length: reportLimits.metrics + 1 }, () => ({
        name: 'loss',
        value: 1,
        step: 0,
      })),
    },
  ],
])('a report with %s is refused', (_what, body) => {
  expect(reportSchema.safeParse({ sequence: 0, ...body }).success).toBe(false);
});

test('an answer may stop the run or switch its snapshot', () => {
  const answer = { accepted: true, stop: false, snapshot: { digest, fromEpoch: 3 } };
  expect(reportAnswerSchema.parse(answer)).toEqual(answer);
  expect(reportAnswerSchema.safeParse({ accepted: false, stop: false }).success).toBe(false);
});

test('a run finishes with summary and artifacts', () => {
  const body = {
    outcome: 'succeeded',
    summary: { dice: { anterior: 0.8, mean: 0.8 }, steps: 3, seconds: 1, backend: 'wasm' },
    artifacts: [{ name: 'checkpoint-best', path: 'a.cwc', sha256: 'ab'.repeat(32), bytes: 3 }],
  };
  expect(finishSchema.parse(body)).toEqual(body);
  expect(finishSchema.safeParse({ outcome: 'stopped' }).success).toBe(false);
});
