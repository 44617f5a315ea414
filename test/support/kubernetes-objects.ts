// Jobs and pods as a cluster shows them, for tests of what they mean.

import type { JobObject, PodObject } from '../../api/launchers/kubernetes/states.ts';

export const now = Date.parse('2026-01-01T12:00:00Z');
export const ago = (seconds: number) => new Date(now - seconds * 1000).toISOString();
export const meta = { name: 'cw-a-1', uid: 'u', creationTimestamp: ago(3600) };

export const jobWith = (conditions: object[], { spec = {}, labels = {}, ...more }: any = {}) =>
  ({ metadata: { ...meta, labels, ...more }, spec, status: { conditions } }) as JobObject;
export const ended = (type: string, reason?: string, message?: string) =>
  jobWith([{ type, status: 'True', reason, message }]);
export const active = jobWith([]);

export const podWith = (phase: string, state: object | null, more: any = {}) =>
  ({
    metadata: { ...meta, name: 'cw-a-1-x7k2p', ...more.metadata },
    status: {
      phase,
      startTime: ago(60),
      containerStatuses: state === null ? [] : [{ name: 'trainer', state }],
      ...more.status,
    },
  }) as PodObject;
export const waiting = (reason: string, message = '', more = {}) =>
  podWith('Pending', { waiting: { reason, message } }, more);
export const over = (exitCode: number, told: object = {}, more = {}) =>
  podWith('Failed', { terminated: { exitCode, ...told } }, more);
export const disrupted = (reason: string) => ({
  status: { conditions: [{ type: 'DisruptionTarget', status: 'True', reason, message: 'words' }] },
});
export const deleted = (seconds: number) => ({ metadata: { deletionTimestamp: ago(seconds) } });
export const running = podWith('Running', { running: {} });
export const failed = ended(
  'Failed',
  'PodFailurePolicy',
  'Container trainer for pod n/p failed with exit code 7 matching FailJob rule at index 1',
);
export const queued = { spec: { suspend: true }, labels: { 'kueue.x-k8s.io/queue-name': 'gpus' } };
export const suspended = (seconds: number) => [
  { type: 'Suspended', status: 'True', lastTransitionTime: ago(seconds) },
];
export const exit = (code: number) => ({ code, signal: null });
