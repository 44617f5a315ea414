// Slurm's words for a job in both dialects, and what each means for an attempt.

import { describe, expect, test } from 'vitest';
import { readGpus, readJob } from '../../../api/launchers/slurm/dialects.ts';
import { observationOf } from '../../../api/launchers/slurm/states.ts';

const record = { job_id: 17, name: 'cw-x-1', comment: 'cw-x-1', restart_cnt: 0 };
const legacy = (job_state: string, state_reason = 'None', exit_code = 0, more: object = {}) =>
  observationOf(readJob({ ...record, job_state, state_reason, exit_code, ...more }));

const set = (number: number) => ({ set: true, infinite: false, number });
const unset = { set: false, infinite: false, number: 0 };
const modern = (job_state: string[], code = 0, signal = 0, more: object = {}) => {
  const id = signal === 0 ? unset : set(signal);
  const exit_code = { status: ['SUCCESS'], return_code: set(code), signal: { id, name: '' } };
  return observationOf(readJob({ ...record, job_state, state_reason: 'None', exit_code, ...more }));
};

const exited = (code: number) => ({ state: 'exited', exit: { code, signal: null } });
const killed = (signal: string) => ({ state: 'exited', exit: { code: null, signal } });

describe('legacy', () => {
  test.each([
    ['COMPLETED', 'None', 0, exited(0)],
    ['FAILED', 'NonZeroExitCode', 1792, exited(7)],
    ['FAILED', 'NonZeroExitCode', 137 << 8, exited(137)],
    ['FAILED', 'NonZeroExitCode', 16 << 8, exited(16)],
    ['FAILED', 'JobLaunchFailure', 9, killed('SIGKILL')],
    ['FAILED', 'JobLaunchFailure', 15, killed('SIGTERM')],
    ['FAILED', 'RaisedSignal', 139, killed('SIGSEGV')],
    ['FAILED', 'RaisedSignal', 40, killed('number 40')],
    ['FAILED', 'JobLaunchFailure', 4021, { state: 'failed', reason: 'config' }],
    ['FAILED', 'JobLaunchFailure', 4010, { state: 'failed', reason: 'infrastructure' }],
    ['FAILED', 'JobLaunchFailure', 0, { state: 'failed', reason: 'infrastructure' }],
    ['FAILED', 'BadConstraints', 1, { state: 'failed', reason: 'config' }],
    ['TIMEOUT', 'TimeLimit', 0, { state: 'timedOut' }],
    ['DEADLINE', 'None', 0, { state: 'failed', reason: 'config' }],
    ['OUT_OF_MEMORY', 'OutOfMemory', 0, { state: 'failed', reason: 'outOfMemory' }],
    ['NODE_FAIL', 'NodeDown', 1, { state: 'failed', reason: 'infrastructure' }],
    ['PREEMPTED', 'None', 0, { state: 'failed', reason: 'infrastructure' }],
    ['BOOT_FAIL', 'None', 0, { state: 'failed', reason: 'infrastructure' }],
    ['LAUNCH_FAILED', 'None', 0, { state: 'failed', reason: 'infrastructure' }],
    ['CANCELLED', 'None', 0, { state: 'cancelled' }],
    ['RUNNING', 'None', 0, { state: 'running' }],
    ['COMPLETING', 'None', 0, { state: 'running' }],
    ['SUSPENDED', 'None', 0, { state: 'running' }],
    ['CONFIGURING', 'None', 0, { state: 'starting' }],
    ['STAGE_OUT', 'None', 0, { state: 'running' }],
    ['SOMETHING_NEW', 'None', 0, { state: 'unknown' }],
  ])('%s, %s, exit code %s', (state, reason, exit, expected) => {
    expect(legacy(state, reason, exit)).toMatchObject(expected);
  });

  test('a job cancelled in Slurm has no signal: its end was not the trainer’s', () => {
    expect(legacy('CANCELLED', 'None', 9)).toEqual({
      state: 'cancelled',
      detail: 'it was cancelled in Slurm',
    });
  });
});

describe('modern', () => {
  test.each([
    [['COMPLETED'], 0, 0, exited(0)],
    [['FAILED'], 7, 0, exited(7)],
    [['FAILED'], 0, 9, killed('SIGKILL')],
    [['RUNNING'], 0, 0, { state: 'running' }],
    [['RUNNING', 'COMPLETING'], 0, 0, { state: 'running' }],
    [['CANCELLED', 'COMPLETING'], 0, 0, { state: 'running' }],
    [['CANCELLED'], 0, 15, { state: 'cancelled' }],
    [['RUNNING', 'CONFIGURING'], 0, 0, { state: 'starting' }],
    [['PENDING'], 0, 0, { state: 'queued' }],
    [['PENDING', 'POWER_UP_NODE'], 0, 0, { state: 'queued' }],
    [['FAILED', 'LAUNCH_FAILED'], 0, 0, { state: 'failed', reason: 'infrastructure' }],
    [['OUT_OF_MEMORY'], 0, 9, { state: 'failed', reason: 'outOfMemory' }],
    [['TIMEOUT'], 0, 0, { state: 'timedOut' }],
    [[], 0, 0, { state: 'unknown' }],
  ])('%j, code %s, signal %s', (states, code, signal, expected) => {
    expect(modern(states, code, signal)).toMatchObject(expected);
  });
});

test.each([
  ['PENDING', 'BeginTime'],
  ['COMPLETING', 'None'],
  ['RUNNING', 'None'],
])('a job that Slurm started again (%s) has failed: an attempt runs once', (state, reason) => {
  const restart = { restart_cnt: 1 };
  expect(legacy(state, reason, 0, restart)).toMatchObject({
    state: 'failed',
    reason: 'infrastructure',
    detail: expect.stringContaining('restart 1'),
  });
  expect(modern([state], 0, 0, restart)).toMatchObject({ reason: 'infrastructure' });
});

describe('why a job waits is said so that somebody can act on it', () => {
  test.each([
    ['None', '', 'waits for the scheduler'],
    ['Resources', '', 'waits for free nodes, CPUs, memory or GPUs (Resources)'],
    ['JobHeldUser', '', 'held in Slurm by its user: scontrol release 17 lets it go (JobHeldUser)'],
    [
      'QOSMaxGRESPerUser',
      '',
      'waits for a limit of its qos, account or user, until other jobs have ended (QOSMaxGRESPerUser)',
    ],
    ['AssocGrpGRES', '', expect.stringMatching(/^waits for a limit .*\(AssocGrpGRES\)$/)],
    [
      'ReqNodeNotAvail',
      'ReqNodeNotAvail, UnavailableNodes:n[1-4]',
      'the nodes that could run it are down, drained or reserved (ReqNodeNotAvail, UnavailableNodes:n[1-4])',
    ],
    [
      'PartitionTimeLimit',
      '',
      'will never start as it is: resources.timeoutSeconds is over the limit of its partition (PartitionTimeLimit)',
    ],
    ['NewReason', 'with words', 'waits in the queue (NewReason; with words)'],
  ])('%s', (reason, state_description, detail) => {
    expect(legacy('PENDING', reason, 0, { state_description })).toEqual({
      state: 'queued',
      detail,
    });
  });
});

test.each([
  ['gpu:h200:2', { h200: 2 }],
  ['gpu:h200:2(S:0-1),gpu:a100:1(S:1)', { h200: 2, a100: 1 }],
  ['gpu:nvidia_h200_141gb:8(IDX:0-7)', { nvidia_h200_141gb: 8 }],
  ['gpu:4,nic:2', { '': 4 }],
  ['gpu:h200:0(IDX:N/A)', { h200: 0 }],
  ['gpu:1g.10gb:3', { '1g.10gb': 3 }],
  ['', {}],
])('GPUs of %s', (gres, expected) => {
  expect(readGpus(gres)).toEqual(expected);
});
