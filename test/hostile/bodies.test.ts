// Bodies that are larger, deeper or stranger than they look, in every place that reads one.

import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { uploadLimits } from '../../api/contract/cases.ts';
import { isDeeper, requestLimits } from '../../api/http/limits.ts';
import { adminToken } from '../support/app.ts';
import { must, rules } from '../support/builders.ts';
import { type JobTest, jobSettings, openJobTest } from '../support/jobs.ts';
import { answered, expectSilentLog, faultsOf } from './leaks.ts';

let api: JobTest;
let trainer: string;
const dataset = '/v1/datasets/open';
beforeAll(async () => {
  api = await openJobTest();
  const { id } = await api.launch();
  trainer = api.launcher.launches.get(api.keyOf(id))?.token as string;
  const attributes = { site: { type: 'string', required: false } };
  await must(api, 201, 'POST', '/v1/datasets', { name: 'open', attributes });
  await must(api, 201, 'POST', `${dataset}/versions`, { reason: 'r' });
});
afterAll(() => {
  expectSilentLog(api, [adminToken, trainer]);
});

type Body = string | Uint8Array;
const json = { 'content-type': 'application/json' };
/** Where a body is read, and how. */
const readers: [string, (body: Body, headers?: Record<string, string>) => Promise<Response>][] = [
  ['cases', (body, headers) => api.send('POST', `${dataset}/versions/1/cases`, body, headers)],
  [
    'a split',
    (body, headers) =>
      api.send('PUT', `${dataset}/versions/1/splits/s`, body, { ...json, ...headers }),
  ],
  [
    'scores',
    (body, headers) =>
      api.send('PUT', `${dataset}/versions/1/scores/dice?split=s&fold=0`, body, {
        ...json,
        ...headers,
      }),
  ],
  ['a dataset', (body, headers) => api.send('POST', '/v1/datasets', body, { ...json, ...headers })],
  [
    'a report',
    (body, headers) =>
      api.send('POST', '/v1/trainer/reports', body, {
        ...json,
        authorization: `Bearer ${trainer}`,
        ...headers,
      }),
  ],
];

const head = () => must(api, 200, 'GET', '/v1/audit/head');
const zipped = (text: Body) => new Uint8Array(gzipSync(text));
const joined = (...parts: Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const deep = (depth: number, [open, close] = '[]') => open.repeat(depth) + close.repeat(depth);
const zeros = '0'.repeat(uploadLimits.partBytes + 1);

describe.each(readers)('%s', (_, read) => {
  const bodies: [string, () => Body][] = [
    ['a zipped bomb', () => zipped(zeros)],
    ['a bomb in a bomb', () => zipped(zipped(zeros))],
    [
      'a bomb behind an honest member',
      () => joined(zipped('{"id":"a","attributes":{}}\n'), zipped(zeros)),
    ],
    ['zipped nonsense', () => joined(zipped('{}').subarray(0, 12), new Uint8Array(500).fill(7))],
    ['only the first bytes of a zipped body', () => new Uint8Array([0x1f, 0x8b])],
    ['a line of 10 MB', () => `{"id":"${'a'.repeat(10_000_000)}","attributes":{}}`],
    ['lists a million deep', () => deep(1_000_000)],
    [
      'objects in a line, deep',
      () => `{"id":"a","attributes":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}`,
    ],
    ['a fold that is deep', () => `[{"train":${deep(200_000)},"val":["b"]}]`],
    ['scores that are deep', () => `{"metric_per_case":${deep(200_000)}}`],
    ['a name that is deep', () => `{"name":"x","attributes":{"a":${deep(100)}}}`],
    ['no UTF-8', () => new Uint8Array([0x7b, 0xff, 0xfe, 0x7d])],
    ['the marks of another encoding', () => new Uint8Array([0xff, 0xfe, 0x7b, 0, 0x7d, 0])],
    [
      'huge numbers',
      () => `{"sequence":1e400,"metrics":[{"name":"loss","value":-1e400,"step":9007199254740993}]}`,
    ],
    ['a number of a million digits', () => `{"id":${'9'.repeat(900_000)}}`],
    ['a zero character', () => `{"id":"a\\u0000b","attributes":{"site":"\\u0000"}}`],
    ['half of a pair', () => `{"id":"a\\ud800","attributes":{"site":"\\ud800"}}`],
  ];

  test.each(bodies)('%s is refused and stores nothing', async (name, body) => {
    const before = await head();
    const answer = await answered(name, await read(body()));
    expect(faultsOf(answer)).toEqual([]);
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(await head()).toEqual(before);
  });

  test('an announced length over the limit is refused before it is read', async () => {
    const answer = await answered('', await read('{}', { 'content-length': '999999999999' }));
    expect([faultsOf(answer), answer.status]).toEqual([[], 413]);
  });

  test.each(['text/html', 'multipart/form-data; boundary=x', 'application/xml', 'nonsense', ''])(
    'as %j it is no fault of ours',
    async (type) => {
      const answer = await answered(type, await read('<x/>', { 'content-type': type }));
      expect(faultsOf(answer)).toEqual([]);
      expect(answer.status).toBeGreaterThanOrEqual(400);
    },
  );
});

describe('names that mean something to the language', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'];
  test.each(names)('%s changes nothing but itself, where it is taken at all', async (name) => {
    const pollution = `{"${name}":{"polluted":true}}`;
    const bodies: [string, string, string][] = [
      ['POST', '/v1/datasets', `{"name":"p","attributes":${pollution}}`],
      ['POST', '/v1/datasets', `{"name":"p","labels":{"${name}":1},"attributes":{}}`],
      [
        'POST',
        '/v1/jobs',
        `{"snapshot":"${api.snapshot}","target":"local","seed":1,"reason":"r","settings":${pollution}}`,
      ],
      ['POST', `${dataset}/versions/1/cases`, `{"id":"${name}","attributes":${pollution}}`],
      ['POST', `${dataset}/rule-sets/check`, `{"rules":${pollution}}`],
    ];
    for (const [method, path, body] of bodies) {
      const type = path.endsWith('cases') ? {} : json;
      const answer = await answered(`${path} ${name}`, await api.send(method, path, body, type));
      expect(faultsOf(answer)).toEqual([]);
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    const answer = await api.call('GET', `/v1/datasets/${name}`);
    expect(answer.status).toBe(404);
  });
});

test('of a name that stands twice the last value holds, in the answer as in the store', async () => {
  const body = '{"name":"first-name","name":"twice","attributes":{}}';
  const made = await (await api.send('POST', '/v1/datasets', body, json)).json();
  expect(made.name).toBe('twice');
  expect((await api.call('GET', '/v1/datasets/first-name')).status).toBe(404);
});

describe('depth', () => {
  test.each([
    [requestLimits.depth, false],
    [requestLimits.depth + 1, true],
  ])('%d is too deep: %s, and brackets in texts do not count', (depth, expected) => {
    expect(isDeeper(deep(depth), requestLimits.depth)).toBe(expected);
    expect(isDeeper(`["${'['.repeat(200)}\\"${'{'.repeat(200)}"]`, requestLimits.depth)).toBe(
      false,
    );
  });
});

describe('an expression at its limits', () => {
  const expressions: [string, string][] = [
    ['nested', `${'('.repeat(5000)}true${')'.repeat(5000)}`],
    ['of many signs', `${'!'.repeat(5000)}true`],
    ['of many terms', Array(5000).fill('case.quality > 0.1').join(' && ')],
    ['of many choices', `${'case.quality > 0.1 ? '.repeat(2000)}true${' : false'.repeat(2000)}`],
    ['a list in a list', `${deep(3000)} == []`],
    ['a pattern that never ends', `case.site.matches('(a+)+$')`],
    ['a comprehension', `case.labels.all(x, case.labels.all(y, case.labels.all(z, z == x)))`],
    ['other letters', 'саѕе.quality > 0.1'],
    ['a text without end', `case.site == "${'a'.repeat(20_000)}`],
    ['a number that is none', 'case.quality > 1e999'],
    ['a whole number that is too large', 'case.quality > 99999999999999999999'],
    ['division by zero', '1 / 0 == 1'],
    ['a name of the language', 'case.__proto__ == case.constructor'],
    ['a function of the language', 'constructor.constructor("return process")()'],
    ['an escape', `case.site == "\\u0000"`],
  ];

  test.each(expressions)('%s is refused or harmless', async (name, when) => {
    const path = '/v1/datasets/phantom';
    const document = { ...rules, exclude: [{ name: 'x', when }] };
    const fold = { version: 1, split: 'five-fold', fold: 0 };
    for (const [route, body] of [
      ['rule-sets/check', { rules: document }],
      ['what-if', { ...fold, rules: document }],
      ['rule-sets', { name: 'hostile', rules: document, reason: 'r' }],
    ] as const) {
      const answer = await answered(
        `${name} ${route}`,
        await api.send('POST', `${path}/${route}`, body),
      );
      expect(faultsOf(answer, when)).toEqual([]);
    }
  });
});

test('settings and summaries may not be deep either', async () => {
  const nested = JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`);
  const launch = { snapshot: api.snapshot, target: 'local', seed: 1, reason: 'r' };
  const body = { ...launch, settings: { ...jobSettings, more: nested } };
  expect((await api.call('POST', '/v1/jobs', body)).status).toBe(422);
  const headers = { authorization: `Bearer ${trainer}` };
  const finish = { outcome: 'failed', summary: nested };
  expect((await api.call('POST', '/v1/trainer/finish', finish, headers)).status).toBe(422);
});
