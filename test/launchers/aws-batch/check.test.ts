// What the check of a target on AWS Batch finds.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Finding } from '../../../api/contract/targets.ts';
import { createAwsBatchLauncher } from '../../../api/launchers/aws-batch/aws-batch.ts';
import {
  awsTarget,
  type FakeAwsBatch,
  fakeCredential,
  fakeImage,
  freshState,
  refused,
  startFakeAwsBatch,
} from '../../support/fake-aws-batch.ts';

let engine: FakeAwsBatch;
beforeAll(async () => {
  engine = await startFakeAwsBatch();
});
afterAll(() => engine.stop());
beforeEach(() => {
  Object.assign(engine, freshState());
});

const checked = (fields: object = {}, credential = fakeCredential) =>
  createAwsBatchLauncher(awsTarget(engine, fields), { credential: async () => credential }).check();

const faults = (found: Finding[]) => found.filter(({ severity }) => severity !== 'ok');

test('a target with nothing wrong is all well, and names what it found', async () => {
  expect(await checked()).toEqual([
    { severity: 'ok', detail: 'credentials hold until 2099-01-01T00:00:00.000Z' },
    { severity: 'ok', detail: 'queue gpu is enabled and valid' },
    { severity: 'ok', detail: 'compute environment h200 is enabled and valid' },
    {
      severity: 'ok',
      detail: 'compute environment h200: EC2; p5en.48xlarge; up to 96 vCPUs',
    },
    { severity: 'ok', detail: `job definition trainer:3 runs ${fakeImage}` },
    { severity: 'ok', detail: 'log group /aws/batch/job can be read' },
  ]);
});

test('a definition may be named by its ARN', async () => {
  const [{ jobDefinitionArn }] = engine.definitions;
  expect(faults(await checked({ jobDefinitions: { [fakeImage]: jobDefinitionArn } }))).toEqual([]);
});

const container = () => engine.definitions[0].containerProperties;
const other = fakeImage.replaceAll('a', 'b');
test.each<[string, () => void, string, RegExp]>([
  ['no queue', () => engine.queues.pop(), 'error', /there is no queue gpu/],
  [
    'a queue that is off',
    () => Object.assign(engine.queues[0], { state: 'DISABLED' }),
    'error',
    /queue gpu is DISABLED: enable it/,
  ],
  [
    'a queue that is not valid',
    () => Object.assign(engine.queues[0], { status: 'INVALID', statusReason: 'role is gone' }),
    'error',
    /queue gpu is INVALID: role is gone/,
  ],
  [
    'a compute environment that is still made',
    () => Object.assign(engine.environments[0], { status: 'CREATING' }),
    'warning',
    /environment h200 is CREATING/,
  ],
  [
    'GPUs on Fargate',
    () => Object.assign(engine.environments[0].computeResources, { type: 'FARGATE_SPOT' }),
    'error',
    /is Fargate, which has no GPUs/,
  ],
  [
    'EKS',
    () => Object.assign(engine.environments[0], { containerOrchestrationType: 'EKS' }),
    'error',
    /is on EKS/,
  ],
  ['no definition', () => engine.definitions.pop(), 'error', /no job definition trainer:3/],
  [
    'a definition that was deregistered',
    () => Object.assign(engine.definitions[0], { status: 'INACTIVE' }),
    'error',
    /is INACTIVE/,
  ],
  [
    'a definition of several nodes',
    () => Object.assign(engine.definitions[0], { type: 'multinode' }),
    'error',
    /no containerProperties/,
  ],
  [
    'another image',
    () => Object.assign(container(), { image: other }),
    'error',
    /runs .*b+, but the target says .*a+: register/,
  ],
  [
    'no mounts',
    () => Object.assign(container(), { mountPoints: [] }),
    'warning',
    /holds \/data\/Dataset004_Liver/,
  ],
  [
    'output that cannot be written',
    () => Object.assign(container().mountPoints[1], { readOnly: true }),
    'error',
    /mounts \/out \(outputPath\) read-only/,
  ],
  [
    'a privileged container',
    () => Object.assign(container(), { privileged: true }),
    'warning',
    /is privileged/,
  ],
  [
    'logs elsewhere',
    () => Object.assign(container(), { logConfiguration: { logDriver: 'splunk' } }),
    'warning',
    /the log driver splunk/,
  ],
  [
    'no right to read the logs',
    () => engine.instead.set('GetLogEvents', refused('AccessDeniedException', 'no')),
    'warning',
    /cannot be read \(AccessDeniedException\).*allow logs:GetLogEvents/,
  ],
])('says of %s what it is and what to do', async (_, change, severity, sentence) => {
  change();
  const found = faults(await checked());
  expect(found[0]).toMatchObject({ severity, detail: expect.stringMatching(sentence) });
});

test('a folder is held by its mount, not by one whose name begins like it', async () => {
  container().mountPoints[0].containerPath = '/dat';
  const [found] = faults(await checked());
  expect(found.detail).toContain('mounts nothing that holds /data/Dataset004_Liver');
  container().mountPoints[0].containerPath = '/';
  expect(faults(await checked())).toEqual([]);
});

test('a log group that no job has made yet, and another one, are named', async () => {
  const found = faults(await checked({ logGroup: '/lab/trainers' }));
  expect(found.map(({ detail }) => detail)).toEqual([
    expect.stringMatching(/writes to the log group \/aws\/batch\/job.*logGroup is \/lab\/trainers/),
    expect.stringContaining('there is no log group /lab/trainers yet'),
  ]);
});

test('keys that do not hold are the only finding, and one refused question hides no other', async () => {
  expect(await checked({}, 'not keys')).toEqual([
    { severity: 'error', detail: expect.stringContaining('neither the JSON') },
  ]);
  engine.instead.set('DescribeJobQueues', refused('AccessDeniedException', 'no', 403));
  const found = await checked();
  expect(found[1]).toMatchObject({ severity: 'error', detail: expect.stringContaining('a right') });
  expect(found[2]).toMatchObject({ severity: 'ok', detail: expect.stringContaining('trainer:3') });
});
