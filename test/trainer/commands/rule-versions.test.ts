// History and copies of rule sets through whole command lines, against the real app.

import { beforeAll, expect, test } from 'vitest';
import { run } from '../../../trainer/cli.ts';
import { type Io, systemIo } from '../../../trainer/commands/io.ts';
import { openTestApp, type TestApp } from '../../support/app.ts';
import { attributes, must, rules } from '../../support/builders.ts';

let api: TestApp;
const out: string[] = [];
const said: string[] = [];
const cw = async (...args: string[]) => {
  out.length = 0;
  said.length = 0;
  const toApp = (async (url: string, init: RequestInit) =>
    await api.app.request(url.replace('http://app', ''), init)) as typeof fetch;
  const io: Io = {
    ...systemIo,
    env: { CW_API: 'http://app', CW_TOKEN: api.token },
    fetch: toApp,
    out: (line) => out.push(line),
    say: (line) => said.push(line),
  };
  return await run(args, io);
};

beforeAll(async () => {
  api = await openTestApp();
  const { labels: _, ...fewer } = attributes;
  await must(api, 201, 'POST', '/v1/datasets', { name: 'liver', attributes });
  await must(api, 201, 'POST', '/v1/datasets', { name: 'spleen', attributes });
  await must(api, 201, 'POST', '/v1/datasets', { name: 'kidney', attributes: fewer });
  const path = '/v1/datasets/liver/rule-sets';
  const capped = { ...rules, sampling: { ...rules.sampling, cap: 3 } };
  await must(api, 201, 'POST', path, { name: 'rare', rules, reason: 'lesions are rare' });
  await must(api, 201, 'POST', path, { name: 'rare', rules: capped, reason: 'noisy loss' });
  await must(api, 201, 'POST', path, { name: 'rare', rules: capped, reason: 'checked again' });
});

test('history prints every version with its reason and its diff', async () => {
  expect(await cw('rules', 'history', 'rare', '--dataset', 'liver')).toBe(0);
  const reasons = ['checked again', 'noisy loss', 'lesions are rare'];
  expect(out.map((text) => text.split('\n')[1].trim())).toEqual(reasons);
  expect(out.map((text) => text.split('  ')[0])).toEqual(['rare@3', 'rare@2', 'rare@1']);
  expect(out[0]).toContain('(says the same)');
  expect(out[1]).toContain('--- rare@1\n+++ rare@2\n');
  expect(out[1]).toContain('-    "cap": 5\n+    "cap": 3');
});

test('history answers JSON alone on stdout', async () => {
  expect(await cw('rules', 'history', 'rare', '--dataset', 'liver', '--json')).toBe(0);
  expect(said).toEqual([]);
  expect(JSON.parse(out.join('')).map(({ version }: any) => version)).toEqual([3, 2, 1]);
});

test('copy stores the rules in the other dataset', async () => {
  const to = ['--dataset', 'spleen', '--reason', 'as in liver'];
  expect(await cw('rules', 'copy', 'liver/rare@1', ...to, '--name', 'mine')).toBe(0);
  expect(said[0]).toMatch(/^mine@1 sha256:/);
  const stored = await must(api, 200, 'GET', '/v1/datasets/spleen/rule-sets/mine@1');
  const source = await must(api, 200, 'GET', '/v1/datasets/liver/rule-sets/rare@1');
  expect(stored.digest).toBe(source.digest);
});

test('copy is refused with what is missing there', async () => {
  const to = ['--dataset', 'kidney', '--reason', 'as in liver'];
  expect(await cw('rules', 'copy', 'liver/rare@1', ...to)).toBe(3);
  expect(said.join('\n')).toContain('no attribute "labels" is declared');
  expect((await must(api, 200, 'GET', '/v1/datasets/kidney/rule-sets')).items).toEqual([]);
});
