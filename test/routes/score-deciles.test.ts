// Score deciles as a trainer reads them: the training side's from the stored scores, the validation
// side's by the same rules, worked out here by hand.

import { beforeAll, expect, test } from 'vitest';
import type { TrainerCase } from '../../api/contract/trainer.ts';
import type { TestApp } from '../support/app.ts';
import { caseLines, must, rules } from '../support/builders.ts';
import { type JobTest, jobSeed, jobSettings, openJobTest } from '../support/jobs.ts';

let jobs: JobTest;
beforeAll(async () => {
  jobs = await openJobTest();
});

async function casesOf(id: string): Promise<TrainerCase[]> {
  const token = jobs.launcher.launches.get(jobs.keyOf(id))?.token;
  const headers = { authorization: `Bearer ${token}` };
  const text = await (await jobs.send('GET', '/v1/trainer/cases', undefined, headers)).text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function storedScores(api: TestApp, snapshot: string): Promise<Map<string, number>> {
  const accept = { accept: 'application/json' };
  const answer = await api.call('GET', `/v1/snapshots/${snapshot}/cases`, undefined, accept);
  return new Map(
    answer.body.cases.map(({ id, score }: { id: string; score: number }) => [id, score]),
  );
}

test('are those of the stored scores on the training side, of the same rules on the other', async () => {
  const { id } = await jobs.launch();
  const stored = await storedScores(jobs, jobs.snapshot);
  const scores = [...stored.values()];
  const decile = (score: number) => {
    const lower = scores.filter((other) => other < score - 1e-12).length;
    return Math.min(9, Math.floor((10 * lower) / scores.length));
  };
  const qualityOf = new Map(caseLines(40).map((line) => [line.id, line.attributes.quality]));
  const lines = await casesOf(id);
  const val = lines.filter(({ side }) => side === 'val');
  expect([lines.length - val.length, val.length]).toEqual([stored.size, 8]);
  for (const line of lines) {
    const quality = qualityOf.get(line.id) as number;
    const share = Math.min(1, Math.max(0, (quality - 0.2) / 0.6));
    // Every training case of fold 0 is of the group "organ": factor 1. Lesions stand in no training
    // case and count as one case among all: they are above every training score.
    const score = 0.5 + 0.5 * share;
    const lesion = line.groups.labels.includes('lesion');
    expect(line.side === 'train' && lesion).toBe(false);
    const expected = lesion ? 9 : decile(stored.get(line.id) ?? score);
    expect([line.id, line.scoreDecile]).toEqual([line.id, expected]);
  }
  expect(new Set(val.map(({ scoreDecile }) => scoreDecile)).size).toBeGreaterThan(1);
  expect(jobs.logged).toEqual([]);
});

test('there are none where no term gives a score', async () => {
  const path = '/v1/datasets/phantom';
  const flat = { ...rules, sampling: { ...rules.sampling, terms: [] } };
  const ruleSet = { name: 'flat', rules: flat, reason: 'as it comes' };
  await must(jobs, 201, 'POST', `${path}/rule-sets`, ruleSet);
  const body = { version: 1, split: 'five-fold', fold: 1, ruleSet: 'flat@1', reason: 'test' };
  const { digest } = await must(jobs, 201, 'POST', `${path}/snapshots`, body);
  const launch = { snapshot: digest, target: 'local', seed: jobSeed, settings: jobSettings };
  const { id } = await must(jobs, 201, 'POST', '/v1/jobs', { ...launch, reason: 'test' });
  const lines = await casesOf(id);
  expect(lines.map(({ scoreDecile }) => scoreDecile)).toEqual(Array(lines.length).fill(null));
});
