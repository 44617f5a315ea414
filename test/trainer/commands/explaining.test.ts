// `explain` against the service in process: the terms of a case, and numbers that fit together.

import { beforeAll, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { explanationText } from '../../../trainer/commands/explain.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp, type TestApp } from '../../support/app.ts';
import { frozenSnapshot } from '../../support/builders.ts';

let api: TestApp;
let digest: string;
beforeAll(async () => {
  api = await openTestApp();
  digest = (await frozenSnapshot(api)).snapshot.digest;
});

async function explain(...args: string[]) {
  const written = { code: 0, out: '', said: '' };
  const io: Io = {
    ...systemIo,
    out: (line) => {
      written.out += line;
    },
    say: (line) => {
      written.said += line;
    },
    env: { CW_TOKEN: api.token },
    fetch: (async (url: string, init: RequestInit) =>
      await api.app.request(new URL(url).pathname, init)) as typeof fetch,
  };
  written.code = await run(['explain', ...args], io);
  return written;
}

test('says every term with its factor and reason, and what came of them', async () => {
  const json = JSON.parse((await explain(digest, 'case_0011', '--json')).out);
  expect(json.terms.length).toBeGreaterThan(1);
  const { code, out } = await explain(digest, 'case_0011');
  expect(code).toBe(0);
  for (const { name, because } of json.terms) {
    expect(out).toContain(name);
    expect(out).toContain(because);
  }
  const ratio = (json.drawProbability / json.targetProbability).toPrecision(4);
  expect(out).toContain(`${ratio} times its target`);
  expect(out).toContain(`loss factor       ${json.lossFactor.toPrecision(4)}`);
});

test('a case that is not in the snapshot is refused with the reason', async () => {
  const { code, said } = await explain(digest, 'nobody');
  expect([code, said]).toEqual([
    3,
    expect.stringContaining('"nobody" is not on the training side'),
  ]);
});

test('says which bound holds a case, and when no term touches it', () => {
  const answer = { id: 'a', terms: [], score: 1, targetProbability: 0.1, drawProbability: 0.5 };
  const text = explanationText({ ...answer, lossFactor: 0.2, boundedBy: 'cap', mix: 'A stage.' });
  expect(text).toContain('no term of the rules touches it');
  expect(text).toContain('5.000 times its target, held at the cap');
  expect(text).toMatch(/\nA stage\.$/);
});
