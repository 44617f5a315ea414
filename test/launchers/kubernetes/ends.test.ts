// How a trainer ended, by what its Job and its pod say: one line per end.

import { expect, test } from 'vitest';
import {
  type JobObject,
  observationOf,
  type PodObject,
} from '../../../api/launchers/kubernetes/states.ts';
import {
  ago,
  deleted,
  disrupted,
  ended,
  exit,
  failed,
  now,
  over,
  podWith,
} from '../../support/kubernetes-objects.ts';

test.each<[string, JobObject | undefined, PodObject[], object]>([
  [
    'a Job that ended before its pod did',
    ended('Failed', 'DeadlineExceeded'),
    [podWith('Running', { running: {} }, deleted(5))],
    { state: 'running', detail: 'is being stopped' },
  ],
  [
    'success',
    ended('Complete'),
    [podWith('Succeeded', { terminated: { exitCode: 0 } })],
    { state: 'exited', exit: exit(0) },
  ],
  ['success, and the pod is gone', ended('Complete'), [], { state: 'exited', exit: exit(0) }],
  ['an exit code', failed, [over(7)], { state: 'exited', exit: exit(7) }],
  ['an exit code, and the pod is gone', failed, [], { state: 'exited', exit: exit(7) }],
  [
    'too little memory',
    failed,
    [over(137, { reason: 'OOMKilled' })],
    {
      state: 'failed',
      reason: 'outOfMemory',
      exit: exit(137),
      detail: 'was killed because it used more than resources.memoryMiB',
    },
  ],
  [
    'an eviction by the cluster',
    failed,
    [over(143, {}, disrupted('EvictionByEvictionAPI'))],
    {
      state: 'failed',
      reason: 'infrastructure',
      detail: 'was taken off its node: EvictionByEvictionAPI: words',
    },
  ],
  [
    'an eviction, and the pod is gone',
    ended(
      'Failed',
      'PodFailurePolicy',
      'Pod n/p has condition DisruptionTarget matching FailJob rule at index 0',
    ),
    [],
    {
      state: 'failed',
      reason: 'infrastructure',
      detail: expect.stringContaining('DisruptionTarget'),
    },
  ],
  [
    'an eviction for what it filled itself',
    failed,
    [
      over(
        137,
        {},
        {
          status: {
            reason: 'Evicted',
            message: 'Usage of EmptyDir volume "tmp" exceeds the limit',
          },
        },
      ),
    ],
    {
      state: 'failed',
      reason: 'config',
      detail: 'was evicted: Usage of EmptyDir volume "tmp" exceeds the limit',
    },
  ],
  [
    'a run that took too long',
    failed,
    [over(143, {}, { status: { reason: 'DeadlineExceeded' } })],
    { state: 'timedOut', detail: 'DeadlineExceeded' },
  ],
  [
    'a Job that took too long',
    ended('Failed', 'DeadlineExceeded', 'Job was active longer'),
    [],
    { state: 'timedOut', detail: 'DeadlineExceeded: Job was active longer' },
  ],
  [
    'a node that refused it',
    ended('Failed', 'BackoffLimitExceeded'),
    [
      podWith('Failed', null, {
        status: { reason: 'UnexpectedAdmissionError', message: 'no healthy devices' },
      }),
    ],
    {
      state: 'failed',
      reason: 'infrastructure',
      detail: 'its node never ran it, or lost it: UnexpectedAdmissionError: no healthy devices',
    },
  ],
  [
    'a node that lost it',
    failed,
    [over(137, { reason: 'ContainerStatusUnknown', message: 'not found' })],
    {
      state: 'failed',
      reason: 'infrastructure',
      detail: 'its node never ran it, or lost it: ContainerStatusUnknown: not found',
    },
  ],
  [
    'an image without the command',
    failed,
    [over(128, { reason: 'StartError', message: 'no such file' })],
    { state: 'failed', reason: 'config', detail: 'could not be run: StartError: no such file' },
  ],
  [
    'a pod that somebody deletes',
    failed,
    [over(143, {}, deleted(5))],
    { state: 'exited', reason: 'external', exit: exit(143), detail: 'its pod was deleted' },
  ],
  [
    'a pod that somebody deleted',
    ended(
      'Failed',
      'PodFailurePolicy',
      'Container trainer for pod n/p failed with exit code 143 matching FailJob rule at index 1',
    ),
    [],
    { state: 'exited', reason: 'external', exit: exit(143), detail: 'its pod was deleted' },
  ],
  [
    'an end without a word',
    ended('Failed', 'BackoffLimitExceeded'),
    [],
    { state: 'failed', reason: 'infrastructure', detail: 'its pod is gone: BackoffLimitExceeded' },
  ],
])('%s', (_, job, pods, expected) => {
  expect(observationOf({ job, pods, now })).toEqual(expected);
});

test('of several pods the newest speaks', () => {
  const older = over(1, {}, { metadata: { creationTimestamp: ago(7200) } });
  const seen = observationOf({ job: failed, pods: [older, over(7)], now });
  expect(seen).toEqual({ state: 'exited', exit: exit(7) });
});
