// What a Job and its pod mean for an attempt that has not ended: one line per state.

import { expect, test } from 'vitest';
import {
  type JobObject,
  observationOf,
  type PodObject,
} from '../../../api/launchers/kubernetes/states.ts';
import {
  active,
  ago,
  deleted,
  disrupted,
  ended,
  jobWith,
  now,
  over,
  podWith,
  queued,
  running,
  suspended,
  waiting,
} from '../../support/kubernetes-objects.ts';

test.each<[string, JobObject | undefined, PodObject[], object]>([
  ['nothing', undefined, [], { state: 'notFound' }],
  ['no Job, and a pod that ended', undefined, [over(143)], { state: 'notFound' }],
  [
    'no Job, and a pod that nobody stops',
    undefined,
    [running],
    {
      state: 'running',
      detail:
        'its Job is gone and pod cw-a-1-x7k2p is not told to stop; if it stays so, delete the pod',
    },
  ],
  [
    'no Job, and a pod on a dead node',
    undefined,
    [podWith('Running', { running: {} }, deleted(400))],
    {
      state: 'notFound',
      detail: 'its Job is gone; pod cw-a-1-x7k2p is on a node that does not answer',
    },
  ],
  [
    'a queue of Kueue',
    jobWith(suspended(3599), queued),
    [],
    { state: 'queued', detail: 'waits in the queue "gpus" of Kueue' },
  ],
  [
    'a Job that somebody suspended',
    jobWith([], { spec: { suspend: true } }),
    [],
    { state: 'queued', detail: 'its Job is suspended' },
  ],
  [
    'a place that Kueue takes back, while the trainer stops',
    jobWith(suspended(20), queued),
    [podWith('Running', { running: {} }, deleted(10))],
    { state: 'running', detail: 'is being stopped' },
  ],
  [
    'a place that Kueue took back',
    jobWith(suspended(20), queued),
    [],
    {
      state: 'failed',
      reason: 'infrastructure',
      detail: expect.stringContaining('Kueue took its place back'),
    },
  ],
  [
    'no node with such a GPU',
    active,
    [
      podWith('Pending', null, {
        status: {
          conditions: [
            {
              type: 'PodScheduled',
              status: 'False',
              reason: 'Unschedulable',
              message: '0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
            },
          ],
        },
      }),
    ],
    {
      state: 'queued',
      detail: 'Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.',
    },
  ],
  [
    'a slow pull of an image',
    active,
    [waiting('ContainerCreating', '', { status: { startTime: ago(7200) } })],
    { state: 'starting' },
  ],
  [
    'an image that cannot be pulled, at first',
    active,
    [waiting('ImagePullBackOff', 'Back-off pulling image')],
    { state: 'starting', detail: 'ImagePullBackOff: Back-off pulling image' },
  ],
  [
    'an image that cannot be pulled, for long',
    active,
    [waiting('ImagePullBackOff', 'Back-off pulling image', { status: { startTime: ago(1000) } })],
    {
      state: 'failed',
      reason: 'config',
      detail: 'its container could not be started: ImagePullBackOff: Back-off pulling image',
    },
  ],
  [
    'a name that is no image',
    active,
    [waiting('InvalidImageName')],
    {
      state: 'failed',
      reason: 'config',
      detail: 'its container could not be started: InvalidImageName',
    },
  ],
  [
    'a Secret that is still on its way',
    active,
    [waiting('CreateContainerConfigError', 'secret "x" not found')],
    { state: 'starting', detail: 'CreateContainerConfigError: secret "x" not found' },
  ],
  ['a trainer at work', active, [running], { state: 'running' }],
  [
    'a node that does not answer',
    active,
    [podWith('Unknown', { running: {} })],
    { state: 'running', detail: 'its node does not answer' },
  ],
  [
    'a pod that ended before its Job did',
    active,
    [over(7)],
    { state: 'running', detail: 'has ended; the cluster has yet to note how' },
  ],
  [
    'an end that is only announced',
    ended('FailureTarget', 'PodFailurePolicy'),
    [running],
    { state: 'running' },
  ],
  [
    'a success that is only announced',
    ended('SuccessCriteriaMet'),
    [running],
    { state: 'running' },
  ],
  [
    'a preemption, while the trainer stops',
    active,
    [
      podWith(
        'Running',
        { running: {} },
        { ...deleted(10), ...disrupted('PreemptionByScheduler') },
      ),
    ],
    { state: 'running', detail: 'is being stopped: PreemptionByScheduler: words' },
  ],
  [
    'a node that died under it',
    active,
    [
      podWith(
        'Running',
        { running: {} },
        { ...deleted(400), ...disrupted('DeletionByTaintManager') },
      ),
    ],
    {
      state: 'failed',
      reason: 'infrastructure',
      detail: 'the node of pod cw-a-1-x7k2p does not answer: DeletionByTaintManager: words',
    },
  ],
  [
    'a Job that somebody deletes',
    jobWith([], { deletionTimestamp: ago(5) }),
    [],
    { state: 'running', detail: 'its Job is being deleted on the cluster' },
  ],
])('%s', (_, job, pods, expected) => {
  expect(observationOf({ job, pods, now })).toEqual(expected);
});
