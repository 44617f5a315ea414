// The commands that read what snapshots say, against the service in process: `diff` and `shares`.

import { beforeAll, describe, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp, type TestApp } from '../../support/app.ts';
import { frozenSnapshot, must, rules } from '../../support/builders.ts';

let api: TestApp;
let digests: [string, string];

/** Runs a command line; answers its exit code and what it wrote. */
async function counterweight(...args: string[]) {
  const written = { code: 0, out: '', said: '' };
  const io: Io = {
    ...systemIo,
    out: (line) => {
      written.out += `${line}\n`;
    },
    say: (line) => {
      written.said += `${line}\n`;
    },
    env: { CW_TOKEN: api.token },
    fetch: (async (url: string, init: RequestInit) => {
      const { pathname, search } = new URL(url);
      return await api.app.request(pathname + search, init);
    }) as typeof fetch,
  };
  written.code = await run(args, io);
  return written;
}

beforeAll(async () => {
  api = await openTestApp();
  const { snapshot } = await frozenSnapshot(api);
  const target = {
    terms: [{ name: 'focus', kind: 'match', when: "case.site == 'B'", factor: 3 }],
  };
  const exclude = [{ name: 'motion', when: 'case.quality < 0.3' }];
  const body = { name: 'rare', rules: { ...rules, target, exclude }, reason: 'x' };
  await must(api, 201, 'POST', '/v1/datasets/phantom/rule-sets', body);
  const freeze = { version: 1, split: 'five-fold', fold: 0, ruleSet: 'rare@2', reason: 'x' };
  const second = await must(api, 201, 'POST', '/v1/datasets/phantom/snapshots', freeze);
  digests = [snapshot.digest, second.digest];
});

describe('diff', () => {
  test('shows sides, objective, groups, moves with reasons, and the rules', async () => {
    const { code, out } = await counterweight('diff', ...digests);
    expect(code).toBe(0);
    const answer = await must(api, 200, 'GET', `/v1/snapshots/${digests.join('/diff/')}`);
    const lines = out.split('\n');
    expect(lines[0]).toBe(
      `from  ${digests[0]}  version 1, five-fold fold 0, rare@1, ${answer.from.caseCount} cases`,
    );
    expect(lines[1]).toContain(`to    ${digests[1]}`);
    expect(lines[3]).toContain(`draws ${answer.totalVariation.toFixed(4)},`);
    expect(lines[4]).toContain('THE OBJECTIVE DIFFERS: target by 0.');
    expect(lines[5]).toMatch(/^none added, \d \(case_\d{4}, .*\) removed$/);
    expect(out).toMatch(/^site=B +\d+\.\d % -> \d+\.\d % /m);
    for (const { id, because } of answer.largestMoves) {
      expect(lines.some((line) => line.startsWith(`${id} `) && line.endsWith(because))).toBe(true);
    }
    expect(out).toContain('+++ rare@2');
    expect(out).toContain('+        "name": "focus",');
  });

  test('says of a snapshot and itself that nothing differs', async () => {
    const { code, out } = await counterweight('diff', digests[0], digests[0]);
    expect(code).toBe(0);
    expect(out).toContain('draws 0.0000');
    expect(out).toContain('the objective is the same\nnone added, none removed\n');
    expect(out).not.toContain('because');
    expect(out).not.toContain('---');
  });

  test('answers the service word for word with --json', async () => {
    const { out } = await counterweight('diff', ...digests, '--json');
    expect(JSON.parse(out)).toEqual(
      await must(api, 200, 'GET', `/v1/snapshots/${digests.join('/diff/')}`),
    );
  });

  test('exits with 3 where there is no such snapshot', async () => {
    const { code, said } = await counterweight('diff', digests[0], 'liver@best:0');
    expect(code).toBe(3);
    expect(said).toContain('liver@best:0');
  });
});

describe('shares', () => {
  const url = () => `/v1/snapshots/${digests[0]}/shares`;

  test('shows a row for each group, with its share of validation', async () => {
    const { code, out } = await counterweight('shares', digests[0]);
    expect(code).toBe(0);
    const { rows } = await must(api, 200, 'GET', url());
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^group +cases +target +draws +effective target +validation cases$/);
    expect(lines).toHaveLength(rows.length + 1);
    const [first] = rows;
    expect(lines[1]).toContain(`${first.attribute}=${first.value}`);
    expect(lines[1]).toContain(`${(100 * first.drawShare).toFixed(1)} %`);
  });

  test('takes one attribute with bins, and answers CSV or JSON as the service does', async () => {
    const by = ['shares', digests[0], '--by', 'quality', '--bins', '0.3,0.7'];
    const query = '?by=quality&bins=0.3,0.7';
    const csv = await api.send('GET', url() + query, undefined, { accept: 'text/csv' });
    expect((await counterweight(...by, '--csv')).out).toBe(`${(await csv.text()).trimEnd()}\n`);
    expect(JSON.parse((await counterweight(...by, '--json')).out)).toEqual(
      await must(api, 200, 'GET', url() + query),
    );
  });

  test('exits with 3 and says what to give where a number has no bins', async () => {
    const { code, said } = await counterweight('shares', digests[0], '--by', 'quality');
    expect(code).toBe(3);
    expect(said).toContain('bins');
  });
});
