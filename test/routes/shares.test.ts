// The subgroup report over HTTP, against the uploaded cases, the folds and the streamed numbers.

import { beforeAll, describe, expect, test } from 'vitest';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must, ndjsonOf, rules } from '../support/builders.ts';

const path = '/v1/datasets/phantom';
let api: TestApp;
let frozen: Awaited<ReturnType<typeof frozenSnapshot>>;
// Correction at half strength, so that target, draws and effective target are three.
const half = { ...rules, correction: { strength: 0.5 } };
beforeAll(async () => {
  api = await openTestApp();
  frozen = await frozenSnapshot(api, { ruleDocument: half });
});

const shares = (query = '') =>
  must(api, 200, 'GET', `/v1/snapshots/${frozen.snapshot.digest}/shares${query}`);

/** The report made plainly: streamed numbers, uploaded values, the fold's validation list. */
async function plainly(keyOf: (attributes: any) => string) {
  const url = `/v1/snapshots/${frozen.snapshot.digest}/cases`;
  const { cases } = (await api.call('GET', url, undefined, { accept: 'application/json' })).body;
  const valuesOf = new Map(frozen.lines.map(({ id, attributes }) => [id, keyOf(attributes)]));
  const total = cases.reduce((sum: number, one: any) => sum + one.drawUnits * one.lossFactor, 0);
  const validation = frozen.folds[0].val;
  return [...new Set(valuesOf.values())].map((value) => {
    const own = cases.filter(({ id }: any) => valuesOf.get(id) === value);
    const sum = (of: (one: any) => number) =>
      own.reduce((all: number, one: any) => all + of(one), 0);
    const validating = validation.filter((id) => valuesOf.get(id) === value).length;
    return {
      value,
      caseCount: own.length,
      targetShare: sum((one) => one.targetUnits / 2 ** 52),
      drawShare: sum((one) => one.drawUnits / 2 ** 52),
      effectiveTargetShare: sum((one) => (one.drawUnits * one.lossFactor) / total),
      validationCount: validating,
      validationShare: validating / validation.length,
    };
  });
}

/** Insists that rows of one attribute are what the plain report says, in any order. */
function requireSame(rows: any[], plain: any[]): void {
  const byValue = (a: any, b: any) => (a.value < b.value ? -1 : 1);
  const close = (one: any) =>
    Object.fromEntries(
      Object.entries(one).map(([name, value]) => [
        name,
        name.endsWith('Share') ? expect.closeTo(value as number, 12) : value,
      ]),
    );
  const found = rows.map(({ attribute: _, ...one }) => one).sort(byValue);
  expect(found).toEqual(plain.sort(byValue).map(close));
}

describe('by the groups of the rules', () => {
  test('are the numbers that the diagnostics show, and count validation beside', async () => {
    const { snapshot, rows } = await shares();
    expect(snapshot).toBe(frozen.snapshot.digest);
    const drawn = rows.filter(({ caseCount }: any) => caseCount > 0);
    expect(drawn.map(({ validationCount: _, validationShare: __, ...row }: any) => row)).toEqual(
      frozen.snapshot.diagnostics.groups,
    );
  });

  test('are the plain sums, label sets by the set', async () => {
    const { rows } = await shares();
    const of = (name: string) => rows.filter(({ attribute }: any) => attribute === name);
    requireSame(of('site'), await plainly(({ site }) => site));
    requireSame(of('labels'), await plainly(({ labels }) => [...labels].sort().join('+')));
    expect(of('labels').map(({ value }: any) => value)).toContain('lesion+organ');
  });

  test('a wrong sum, count or share is found', async () => {
    const plain = await plainly(({ site }) => site);
    const rows = (await shares()).rows.filter(({ attribute }: any) => attribute === 'site');
    for (const name of Object.keys(plain[0]).filter((key) => key !== 'value')) {
      const wrong = rows.map((row: any) => ({ ...row, [name]: row[name] + 1e-6 }));
      expect(() => requireSame(wrong, plain), name).toThrow();
    }
  });
});

describe('by one attribute', () => {
  test('that is a number, in bins', async () => {
    const { rows } = await shares('?by=quality&bins=0.3,0.7');
    const bin = (value: number) => (value < 0.3 ? '< 0.3' : value < 0.7 ? '0.3 to 0.7' : '>= 0.7');
    requireSame(rows, await plainly(({ quality }) => bin(quality)));
    expect(rows.map(({ value }: any) => value)).toEqual(['< 0.3', '0.3 to 0.7', '>= 0.7']);
  });

  test('that some cases lack', async () => {
    const { rows } = await shares('?by=lesionMl&bins=1');
    const bin = (value?: number) => (value === undefined ? 'missing' : value < 1 ? '< 1' : '>= 1');
    requireSame(rows, await plainly(({ lesionMl }) => bin(lesionMl)));
  });

  test.each([
    ['?by=quality', 422, 'bins'],
    ['?by=site&bins=1', 422, 'only numbers have bins'],
    ['?by=sites', 422, 'did you mean \\"site\\"?'],
    ['?bins=1,2', 400, 'name it with by'],
    ['?by=quality&bins=2,1', 400, 'each above the one before'],
    ['?by=quality&bins=1,,2', 400, 'each above the one before'],
    ['?by=quality&bins=1,x', 400, 'each above the one before'],
  ])('%s is refused', async (query, status, says) => {
    const answer = await api.call('GET', `/v1/snapshots/${frozen.snapshot.id}/shares${query}`);
    expect(answer.status).toBe(status);
    expect(JSON.stringify(answer.body)).toContain(says);
  });
});

test('fold "all" has no validation side', async () => {
  const body = { version: 1, split: 'five-fold', fold: 'all', ruleSet: 'rare@1', reason: 'x' };
  const { digest } = await must(api, 201, 'POST', `${path}/snapshots`, body);
  const { rows } = await must(api, 200, 'GET', `/v1/snapshots/${digest}/shares`);
  expect(rows.length).toBeGreaterThan(2);
  for (const row of rows)
    expect(row).toMatchObject({ validationCount: null, validationShare: null });
});

test('is of the version of the snapshot, whatever came later', async () => {
  const before = await shares();
  await must(api, 201, 'POST', `${path}/versions`, { reason: 'later', base: 1 });
  const [line] = frozen.lines.slice(1);
  const changed = { ...line, attributes: { ...line.attributes, site: 'C' } };
  await must(api, 200, 'POST', `${path}/versions/2/cases`, ndjsonOf([changed]));
  await must(api, 200, 'POST', `${path}/versions/2/commit`, { reason: 'checked' });
  expect(await shares()).toEqual(before);
});

test('knows only the attributes that its version had', async () => {
  const scanner = { type: 'string', required: false, origin: 'entered' };
  const answer = await api.call('PUT', `${path}/attributes/scanner`, scanner);
  expect(answer.status).toBeLessThan(300);
  const url = `/v1/snapshots/${frozen.snapshot.digest}/shares?by=scanner`;
  expect((await api.call('GET', url)).body.detail).toContain('no attribute "scanner"');
});

describe('CSV', () => {
  const csv = async (query = '') => {
    const url = `/v1/snapshots/${frozen.snapshot.digest}/shares${query}`;
    return await api.send('GET', url, undefined, { accept: 'text/csv' });
  };

  test('has the same rows as JSON', async () => {
    const response = await csv();
    expect(response.headers.get('content-type')).toBe('text/csv');
    const [head, ...lines] = (await response.text()).trimEnd().split('\r\n');
    const { rows } = await shares();
    expect(head).toBe(Object.keys(rows[0]).join(','));
    expect(lines).toEqual(rows.map((row: object) => Object.values(row).join(',')));
  });

  test('is refused in another format', async () => {
    const url = `/v1/snapshots/${frozen.snapshot.digest}/shares`;
    const answer = await api.call('GET', url, undefined, { accept: 'image/png' });
    expect(answer.status).toBe(406);
  });
});
