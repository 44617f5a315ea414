// What a job may rely on, whatever engine it runs on: one suite for all, each case with the real
// trainer in a real container, reporting to a real service.

import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Job } from '../../api/contract/jobs.ts';
import { hasEnded } from '../../trainer/commands/watch.ts';
import type { Lab, LaunchWords } from './lab.ts';
import type { Rig, TargetName } from './rig.ts';
import { pause, until } from './waiting.ts';

type Case = (lab: Lab, rig: Rig) => Promise<void>;

const keyOf = ({ id }: Job, attempt = 1) => `cw-${id}-${attempt}`;
const trains = (job: Job) => (job.progress?.step ?? 0) >= 1;
/** Longer than a test waits; validated once, at the end. */
const long = { settings: { epochs: 500, validateEvery: 500 } };
const verified = (epochs: number) => ({
  state: 'succeeded',
  verifiedDraws: { verified: epochs, partial: 0, mismatch: 0 },
});

async function launched(lab: Lab, rig: Rig, what: TargetName, words?: LaunchWords): Promise<Job> {
  return await lab.launch(rig.targetOf(what), words);
}

async function training(lab: Lab, rig: Rig, what: TargetName, words = long): Promise<Job> {
  const { id } = await launched(lab, rig, what, words);
  return await lab.until(id, (job) => trains(job) || hasEnded(job));
}

/** Waits until nothing of a launch runs any more; its engine is given some time. */
async function gone(rig: Rig, launchKey: string): Promise<void> {
  const ended = async () => !(await rig.runs(launchKey));
  await until(ended, { seconds: 90, late: () => `${launchKey} ends` });
}

async function cancel(lab: Lab, { id }: Job): Promise<void> {
  await lab.client.call('POST', `/v1/jobs/${id}/cancel`, { reason: 'engine test' });
}

/** The service dies in the middle of a launch; `once` is what it dies of. */
async function dyingAtSubmit(lab: Lab, rig: Rig, moment: 'before' | 'after'): Promise<Job> {
  let died = false;
  const die = async () => {
    died = true;
    rig.rules.length = 0;
    await lab.kill();
  };
  const before = async () => {
    await die();
    return false;
  };
  const after = async () => {
    await die();
    return null;
  };
  rig.rules.push({ on: rig.submitRequest, ...(moment === 'before' ? { before } : { after }) });
  const reason = randomUUID();
  const asked = lab.launch(rig.targetOf('plain'), { reason }).catch(() => null);
  await until(() => died, { seconds: 30, late: () => 'something is submitted' });
  await asked;
  await lab.start();
  const jobs = await lab.client.askAll('GET /v1/jobs');
  return jobs.find(({ launchReason }) => launchReason === reason) as Job;
}

export const engineCases: Record<string, Case> = {
  'trains on real images, and every epoch of draws is verified': async (lab, rig) => {
    const { id } = await launched(lab, rig, 'plain');
    const job = await lab.ended(id);
    expect(job, await lab.story(job)).toMatchObject(verified(2));
    expect(existsSync(join(lab.outputs, id, 'checkpoint-latest.cwc'))).toBe(true);
    await gone(rig, keyOf(job));
  },

  'says that a trainer ended with exit code 7': async (lab, rig) => {
    const { id } = await launched(lab, rig, 'exit7', long);
    const { state, reason, attempts } = await lab.ended(id);
    const detail = 'the trainer ended with exit code 7 before its final report';
    expect({ state, reason, attempts: attempts.length }).toEqual({
      state: 'failed',
      reason: { code: 'user', detail },
      attempts: 1,
    });
  },

  'says that a trainer was killed': async (lab, rig) => {
    const { id } = await launched(lab, rig, 'kill9', long);
    const { state, reason } = await lab.ended(id);
    expect({ state, code: reason?.code }).toEqual({ state: 'failed', code: 'external' });
    expect(reason?.detail).toMatch(/SIGKILL|137/);
  },

  'says that memory ran out': async (lab, rig) => {
    const { id } = await launched(lab, rig, 'memory', { ...long, resources: { memoryMiB: 700 } });
    const { state, reason } = await lab.ended(id);
    expect({ state, code: reason?.code }).toEqual({ state: 'failed', code: 'outOfMemory' });
    expect(reason?.detail).toContain('memory');
  },

  'cancels a job that waits, and never starts it': async (lab, rig) => {
    const first = await training(lab, rig, 'single');
    const waiting = await launched(lab, rig, 'single');
    await cancel(lab, waiting);
    expect((await lab.ended(waiting.id, 30)).state).toBe('cancelled');
    expect(await rig.launchesOf(keyOf(waiting))).toBe(0);
    await cancel(lab, first);
    await lab.ended(first.id);
  },

  'cancels a job that runs, which leaves a checkpoint behind': async (lab, rig) => {
    const job = await training(lab, rig, 'plain');
    await cancel(lab, job);
    expect((await lab.ended(job.id, 90)).state).toBe('cancelled');
    await gone(rig, keyOf(job));
    expect(existsSync(join(lab.outputs, job.id, 'checkpoint-latest.cwc'))).toBe(true);
  },

  'ends a trainer that hears neither the service nor SIGTERM, at its time limit': async (
    lab,
    rig,
  ) => {
    const words = { ...long, resources: { timeoutSeconds: 15 } };
    const { id } = await training(lab, rig, 'deaf', words);
    const job = await lab.ended(id, 120);
    expect(job.state).toBe('timedOut');
    expect(job.reason?.detail).toContain('15 s (timeoutSeconds)');
    await gone(rig, keyOf(job));
  },

  'lets a job go on while its engine is away for half a minute': async (lab, rig) => {
    const job = await training(lab, rig, 'plain', { settings: { epochs: 40, validateEvery: 40 } });
    await rig.stopEngine();
    await pause(30);
    const isDoubted = ({ attempts }: Job) => attempts[0].observation?.state === 'unknown';
    // One that hangs is given up after half a minute.
    const doubted = await lab.until(job.id, isDoubted, 40).finally(rig.startEngine);
    expect(['running', 'finishing']).toContain(doubted.state);
    const ended = await lab.ended(job.id);
    expect(ended, await lab.story(ended)).toMatchObject(verified(40));
    expect(ended.attempts).toHaveLength(1);
  },

  'adopts a launch that the service did not live to save, and doubles nothing': async (
    lab,
    rig,
  ) => {
    const { id } = await dyingAtSubmit(lab, rig, 'after');
    const job = await lab.ended(id);
    expect(job, await lab.story(job)).toMatchObject(verified(2));
    expect(job.attempts).toHaveLength(1);
    expect(await rig.launchesOf(keyOf(job))).toBe(1);
  },

  'launches what the service died too early to launch': async (lab, rig) => {
    const { id } = await dyingAtSubmit(lab, rig, 'before');
    const job = await lab.ended(id);
    expect(job, await lab.story(job)).toMatchObject(verified(2));
    expect(await rig.launchesOf(keyOf(job))).toBe(1);
  },

  'keeps a trainer that was given up from writing beside the one that follows': async (
    lab,
    rig,
  ) => {
    const { id } = await training(lab, rig, 'zombie', {
      settings: { epochs: 4, validateEvery: 4 },
    });
    await rig.loseNode(`cw-${id}-1`);
    const job = await lab.ended(id);
    expect(job.state).toBe('succeeded');
    expect(job.attempts.map(({ state, reason }) => [state, reason?.code])).toEqual([
      ['failed', 'infrastructure'],
      ['succeeded', undefined],
    ]);
    await gone(rig, `cw-${id}-1`);
    expect((await lab.client.call<{ ok: boolean }>('GET', '/v1/audit/verify')).ok).toBe(true);
  },

  'refuses a place that the engine does not have, in words': async (lab, rig) => {
    const { id } = await launched(lab, rig, 'nowhere');
    const { state, reason } = await lab.ended(id, 60);
    expect({ state, code: reason?.code }).toEqual({ state: 'failed', code: 'config' });
    expect(reason?.detail).toMatch(rig.nowhere);
  },

  'refuses a GPU that no machine has, in words': async (lab, rig) => {
    const { gpus, said } = rig.impossibleGpu;
    const asked = launched(lab, rig, 'plain', { resources: { gpus } });
    const refused = await asked.then(
      () => null,
      (error: Error) => error.message,
    );
    if (refused !== null) {
      expect(refused).toMatch(said);
      return;
    }
    const job = await lab.ended((await asked).id, 60);
    expect({ state: job.state, code: job.reason?.code }).toEqual({
      state: 'failed',
      code: 'config',
    });
    expect(job.reason?.detail).toMatch(said);
    expect(await rig.runs(keyOf(job))).toBe(false);
  },

  'keeps tokens and credentials out of all that is stored, logged and answered': async (
    lab,
    rig,
  ) => {
    const job = await training(lab, rig, 'plain');
    await cancel(lab, job);
    await lab.ended(job.id, 90);
    const traces = await lab.traces();
    expect(traces).toContain(job.id);
    expect(traces.match(/cw_[A-Za-z0-9_-]{30,}/g)).toBeNull();
    if (rig.credential !== null) expect(traces).not.toContain(rig.credential);
  },
};
