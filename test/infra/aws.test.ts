// The files of infra/aws: the policy allows what the launcher asks for and no more, and the job
// definition is one that the launcher's check finds nothing wrong with.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createAwsBatchLauncher } from '../../api/launchers/aws-batch/aws-batch.ts';
import { awsTarget, fakeCredential, startFakeAwsBatch } from '../support/fake-aws-batch.ts';
import { bodies } from '../support/fake-aws-bodies.ts';

const read = (name: string) => JSON.parse(readFileSync(`infra/aws/${name}`, 'utf8'));

test('the policy allows each operation of the launcher, and nothing else but tags', () => {
  const { Statement } = read('service-policy.json') as {
    Statement: { Action: string | string[] }[];
  };
  const allowed = Statement.flatMap(({ Action }) => Action).map((one) => one.split(':')[1]);
  expect(allowed.sort()).toEqual([...Object.keys(bodies), 'TagResource'].sort());
});

test('what changes something is allowed on named resources only, and stopping on its own jobs', () => {
  const { Statement } = read('service-policy.json') as {
    Statement: { Sid: string; Resource: string | string[]; Condition?: object }[];
  };
  const everywhere = Statement.filter(({ Resource }) => Resource === '*').map(({ Sid }) => Sid);
  expect(everywhere).toEqual(['See']);
  expect(Statement.find(({ Sid }) => Sid === 'StopItsOwn')?.Condition).toEqual({
    StringLike: { 'aws:ResourceTag/counterweight-launch': 'cw-*' },
  });
});

test('the job definition passes the check of a target on it', async () => {
  const engine = await startFakeAwsBatch();
  const definition = read('job-definition.json');
  const image = definition.containerProperties.image.replace('DIGEST', 'c'.repeat(64));
  definition.containerProperties.image = image;
  engine.definitions.push({
    ...definition,
    jobDefinitionArn: 'arn:aws:batch:eu-central-1:123456789012:job-definition/x:1',
    revision: 1,
    status: 'ACTIVE',
  });
  const jobDefinitions = { [image]: `${definition.jobDefinitionName}:1` };
  const target = awsTarget(engine, { images: [image], jobDefinitions });
  const launcher = createAwsBatchLauncher(target, { credential: async () => fakeCredential });
  const found = await launcher.check();
  await engine.stop();
  expect(found.filter(({ severity }) => severity !== 'ok')).toEqual([]);
  expect(found.length).toBeGreaterThan(4);
});
