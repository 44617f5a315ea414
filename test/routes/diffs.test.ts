// The diff of two snapshots over HTTP against the cases that both stream: across rules, folds and
// dataset versions; and what may not be compared or explained.

import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must, ndjsonOf, rules } from '../support/builders.ts';

const path = '/v1/datasets/phantom';
const unit = 2 ** -52;
let api: TestApp;
let first: any;

async function freeze(change: { version?: number; fold?: number; ruleSet?: string }) {
  const body = {
    version: 1,
    split: 'five-fold',
    fold: 0,
    ruleSet: 'rare@1',
    reason: 'x',
    ...change,
  };
  return await must(api, 201, 'POST', `${path}/snapshots`, body);
}

async function addRules(name: string, document: unknown): Promise<string> {
  const body = { name, rules: document, reason: 'x' };
  const { version } = await must(api, 201, 'POST', `${path}/rule-sets`, body);
  return `${name}@${version}`;
}

const diff = (a: any, b: any) =>
  must(api, 200, 'GET', `/v1/snapshots/${a.digest}/diff/${b.digest}`);

/** What a snapshot streams of each case, by id. */
async function casesOf({ digest }: any): Promise<Map<string, any>> {
  const headers = { accept: 'application/json' };
  const answer = await api.call('GET', `/v1/snapshots/${digest}/cases`, undefined, headers);
  return new Map(answer.body.cases.map((one: any) => [one.id, one]));
}

/** Draw probabilities of both sides over the union, and half the sum of their differences. */
async function bruteForce(a: any, b: any) {
  const [from, to] = [await casesOf(a), await casesOf(b)];
  const ids = [...new Set([...from.keys(), ...to.keys()])];
  const draw = (cases: Map<string, any>, id: string) =>
    Number(cases.get(id)?.drawUnits ?? 0) * unit;
  const changes = ids.map((id) => ({ id, change: Math.abs(draw(from, id) - draw(to, id)) }));
  const largest = changes
    .filter(({ change }) => change > 0)
    .sort((x, y) => y.change - x.change || (x.id < y.id ? -1 : 1))
    .slice(0, 10)
    .map(({ id }) => id);
  return {
    from,
    to,
    totalVariation: changes.reduce((sum, { change }) => sum + change, 0) / 2,
    largest,
    added: [...to.keys()].filter((id) => !from.has(id)),
    removed: [...from.keys()].filter((id) => !to.has(id)),
  };
}

/** Insists that every number of a diff is what the streamed cases give. */
async function requireAsStreamed(a: any, b: any) {
  const found = await diff(a, b);
  const plain = await bruteForce(a, b);
  expect(found.totalVariation).toBeCloseTo(plain.totalVariation, 14);
  expect(found).toMatchObject({
    added: plain.added,
    addedCount: plain.added.length,
    removed: plain.removed,
    removedCount: plain.removed.length,
    effectiveFraction: {
      from: a.diagnostics.effectiveFraction,
      to: b.diagnostics.effectiveFraction,
    },
  });
  expect(found.largestMoves.map(({ id }: any) => id)).toEqual(plain.largest);
  const numbersOf = (one: any) =>
    one === undefined
      ? null
      : {
          targetProbability: Number(one.targetUnits) * unit,
          drawProbability: Number(one.drawUnits) * unit,
          lossFactor: one.lossFactor,
        };
  for (const { id, from, to } of found.largestMoves) {
    expect([from, to]).toEqual([numbersOf(plain.from.get(id)), numbersOf(plain.to.get(id))]);
  }
  return found;
}

beforeAll(async () => {
  api = await openTestApp();
  first = (await frozenSnapshot(api)).snapshot;
});

describe('two rule sets', () => {
  let found: any;
  beforeAll(async () => {
    const [rare] = rules.sampling.terms;
    const steeper = {
      ...rules,
      target: { terms: [{ name: 'focus', kind: 'match', when: "case.site == 'B'", factor: 2 }] },
      sampling: { ...rules.sampling, terms: [{ ...rare, power: 1 }], cap: 4 },
    };
    const second = await freeze({ ruleSet: await addRules('rare', steeper) });
    found = await requireAsStreamed(first, second);
  });

  test('are named with digest, version, fold and rule set', () => {
    const { id, digest } = first;
    const common = { version: 1, split: 'five-fold', fold: 0, caseCount: first.header.caseCount };
    expect(found.from).toEqual({ id, digest, ruleSet: 'rare@1', ...common });
    expect(found.to).toMatchObject({ ruleSet: 'rare@2', ...common });
  });

  test('have another objective where the target moved', () => {
    expect(found.objectiveChanged).toBe(true);
    expect(found.objective.targetVariation).toBeGreaterThan(0.1);
    expect(found.objective.effectiveTargetVariation).toBeCloseTo(
      found.objective.targetVariation,
      12,
    );
  });

  test('show each group on both sides', () => {
    const groupsOf = (side: 'from' | 'to') =>
      found.groups.map((group: any) => [group.attribute, group.value, group[side]]);
    expect(groupsOf('from')).toEqual(
      first.diagnostics.groups.map(({ attribute, value, caseCount: _, ...shares }: any) => [
        attribute,
        value,
        shares,
      ]),
    );
    expect(groupsOf('to').map(([, value]: any) => value)).toEqual(['A', 'B', 'organ']);
  });

  test('show for a case only terms whose factor differs, as the explanations give them', async () => {
    for (const { id, terms, because } of found.largestMoves) {
      const [from, to] = await Promise.all(
        [found.from, found.to].map(async ({ digest }) => {
          const why = await must(api, 200, 'GET', `/v1/snapshots/${digest}/cases/${id}`);
          return new Map<string, number>(why.terms.map((one: any) => [one.name, one.factor]));
        }),
      );
      const names = ['focus', 'rare', 'sharp'].filter((name) => from.get(name) !== to.get(name));
      expect(terms.map(({ name }: any) => name)).toEqual(names);
      for (const term of terms) {
        expect(term.from).toBe(from.get(term.name) ?? null);
        expect(term.to).toBe(to.get(term.name) ?? null);
      }
      expect(because).toContain('sampling term "sharp", which had factor');
      expect(because).toContain('the cap went from 5 to 4');
    }
  });

  test('differ by lines of their documents, in the order in which people write them', () => {
    const lines = found.rulesDiff.split('\n');
    expect(lines.slice(0, 2)).toEqual(['--- rare@1', '+++ rare@2']);
    expect(lines).toContain('-        "power": 0.5,');
    expect(lines).toContain('+        "power": 1,');
    expect(lines).toContain('+        "name": "focus",');
    expect(lines).toContain('-    "cap": 5');
    expect(lines.filter((line: string) => line.includes('"groups"'))).toHaveLength(0);
  });
});

test('a snapshot and itself do not differ', async () => {
  expect(await diff(first, first)).toMatchObject({
    totalVariation: 0,
    objectiveChanged: false,
    objective: { targetVariation: 0, effectiveTargetVariation: 0 },
    largestMoves: [],
    added: [],
    removed: [],
    rulesDiff: '',
  });
});

test('other draws under full correction leave the objective unchanged', async () => {
  const flat = { ...rules, sampling: { ...rules.sampling, terms: [] } };
  const found = await requireAsStreamed(
    first,
    await freeze({ ruleSet: await addRules('flat', flat) }),
  );
  expect(found.totalVariation).toBeGreaterThan(0.05);
  expect(found).toMatchObject({ objectiveChanged: false, objective: { targetVariation: 0 } });
});

test('a case that has come to a bound is said to', async () => {
  const terms = [{ name: 'b', kind: 'match', when: "case.site == 'B'", factor: 50 }];
  const steep = { ...rules, sampling: { terms, floor: 0.5, cap: 1.5 } };
  const found = await diff(first, await freeze({ ruleSet: await addRules('steep', steep) }));
  const bounds = found.largestMoves.map(
    ({ because }: any) => /come to the (\w+)/.exec(because)?.[1],
  );
  expect(bounds).toContain('cap');
});

test('a correction of another strength changes the objective, not the target', async () => {
  const half = { ...rules, correction: { strength: 0.5 } };
  const found = await diff(first, await freeze({ ruleSet: await addRules('half', half) }));
  expect(found).toMatchObject({
    totalVariation: 0,
    objectiveChanged: true,
    objective: { targetVariation: 0 },
  });
  expect(found.objective.effectiveTargetVariation).toBeGreaterThan(0.01);
});

test('two folds differ by their cases, ties by id, each with what left it out', async () => {
  const even = await addRules('even', { groups: ['site'] });
  const [zero, one] = [await freeze({ ruleSet: even }), await freeze({ ruleSet: even, fold: 1 })];
  const found = await requireAsStreamed(zero, one);
  expect(found).toMatchObject({ addedCount: 8, removedCount: 8, totalVariation: 0.25 });
  expect(found.largestMoves.map(({ because }: any) => because)).toEqual(
    found.largestMoves.map(({ from }: any) =>
      from === null
        ? 'Drawn only in the second; in the other it is left out: not on the training side of fold 0 of split "five-fold".'
        : 'Drawn only in the first; in the other it is left out: not on the training side of fold 1 of split "five-fold".',
    ),
  );
});

test('two versions differ by a case that came and one that went', async () => {
  const versions = `${path}/versions`;
  await must(api, 201, 'POST', versions, { reason: 'more', base: 1 });
  const attributes = { site: 'C', quality: 0.9, labels: ['organ', 'lesion', 'stone'] };
  const files = [{ path: 'imagesTr/new_0000.nii.gz', sha256: 'b'.repeat(64) }];
  const lines = ndjsonOf([
    { id: 'a_new', attributes, files },
    { id: 'case_0001', removed: true },
  ]);
  await must(api, 200, 'POST', `${versions}/2/cases`, lines);
  const ids = (await casesOf(first)).keys();
  const train = ['a_new', ...ids].filter((id) => id !== 'case_0001');
  await must(api, 200, 'PUT', `${versions}/2/splits/five-fold`, [{ train, val: ['case_0000'] }]);
  await must(api, 200, 'POST', `${versions}/2/commit`, { reason: 'checked' });
  const second = await freeze({ version: 2 });
  const found = await requireAsStreamed(first, second);
  expect(found).toMatchObject({ added: ['a_new'], removed: ['case_0001'] });
  const reasons = Object.fromEntries(found.largestMoves.map((one: any) => [one.id, one.because]));
  expect(reasons.a_new).toBe(
    'Drawn only in the second; in the other it is left out: not a case of version 1.',
  );
  const back = await requireAsStreamed(second, first);
  expect(back.totalVariation).toBe(found.totalVariation);
  expect(found.groups.find(({ value }: any) => value === 'C')).toMatchObject({ from: null });
});

test('snapshots of two datasets are refused, and an unknown one', async () => {
  const other = (await frozenSnapshot(api, { name: 'other' })).snapshot;
  const answer = await api.call('GET', `/v1/snapshots/${first.id}/diff/${other.id}`);
  expect(answer.status).toBe(422);
  expect(answer.body.detail).toContain('is of dataset "phantom"');
  expect(answer.body.detail).toContain('of "other". Only two snapshots of one dataset');
  const unknown = await api.call('GET', `/v1/snapshots/${first.id}/diff/nothing`);
  expect(unknown.status).toBe(404);
  expect(unknown.body.detail).toContain('"nothing"');
});
