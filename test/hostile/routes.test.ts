// Every route with values that no client of ours sends: each is the caller's fault, so none may
// answer 500, none may say what is inside, and none may store anything.

import { beforeAll, describe, expect, test } from 'vitest';
import { openApiDocument } from '../../api/app.ts';
import { openTestApp, type TestApp } from '../support/app.ts';
import { frozenSnapshot, must } from '../support/builders.ts';

type Parameter = { name: string; in: string };
type Operation = { method: string; path: string; query: string[]; takesBody: boolean };

let api: TestApp;
let operations: Operation[];
beforeAll(async () => {
  api = await openTestApp();
  await frozenSnapshot(api);
  const { paths = {} } = openApiDocument(api.app, 'test');
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, { parameters?: Parameter[]; requestBody?: unknown }>)
      .filter(() => !path.startsWith('/v1/trainer'))
      .map(([method, { parameters = [], requestBody }]) => ({
        method: method.toUpperCase(),
        path,
        query: parameters.filter((each) => each.in === 'query').map(({ name }) => name),
        takesBody: requestBody !== undefined,
      })),
  );
});

const hostile: [string, string][] = [
  ['a zero character', '\0'],
  ['a zero character within', 'a\0b'],
  ['half of a surrogate pair', '\ud800'],
  ['a quote', "' or 1=1 --"],
  ['a number over 32 bits', '99999999999'],
  ['a number over 64 bits', '1e30'],
  ['a negative number', '-1'],
  ['a path upwards', '../../etc/passwd'],
  ['a name of the prototype', '__proto__'],
  ['a long text', 'x'.repeat(5000)],
];

const encoded = (value: string) => encodeURIComponent(value.replace('\ud800', '\ufffd'));

async function answersOf(send: (operation: Operation) => Promise<Response>[]) {
  const found: unknown[] = [];
  for (const operation of operations) {
    for (const response of await Promise.all(send(operation))) {
      const text = await response.text();
      if (response.status >= 500 || /select |insert |\.ts:\d|node_modules/i.test(text)) {
        found.push([operation.method, operation.path, response.status, text.slice(0, 200)]);
      }
    }
  }
  return found;
}

const heads = () => must(api, 200, 'GET', '/v1/audit/head');

describe.each(hostile)('%s', (_, value) => {
  test('in a path is the fault of the caller', async () => {
    const before = await heads();
    const found = await answersOf(({ method, path, takesBody }) => {
      const places = path.match(/\{\w+\}/g) ?? [];
      return places.map((place) => {
        const real = path
          .replace(place, encoded(value))
          .replace('{dataset}', 'phantom')
          .replace('{n}', '1')
          .replaceAll(/\{\w+\}/g, 'x');
        return api.send(method, real, takesBody ? {} : undefined);
      });
    });
    expect(found).toEqual([]);
    expect(await heads()).toEqual(before);
  });

  test('in a query is the fault of the caller', async () => {
    const found = await answersOf(({ method, path, query }) => {
      const real = path.replace('{dataset}', 'phantom').replaceAll(/\{\w+\}/g, '1');
      return query.map((name) => api.send(method, `${real}?${name}=${encoded(value)}`));
    });
    expect(found).toEqual([]);
  });
});

describe('a body', () => {
  const bodies: [string, unknown][] = [
    ['null', 'null'],
    ['a list', '[]'],
    ['a number', '7'],
    ['nothing', ''],
    ['deep', '['.repeat(20_000) + ']'.repeat(20_000)],
    ['no UTF-8', new Uint8Array([0x7b, 0xff, 0xfe, 0x7d])],
  ];
  test.each(bodies)('that is %s is refused by every route', async (_, body) => {
    const before = await heads();
    const headers = { 'content-type': 'application/json' };
    const found = await answersOf(({ method, path, takesBody }) => {
      const real = path.replace('{dataset}', 'phantom').replace('{n}', '1');
      return takesBody ? [api.send(method, real, body, headers)] : [];
    });
    expect(found).toEqual([]);
    expect(await heads()).toEqual(before);
  });

  test.each(['a\0b', 'a\ud800b'])('with a text that Postgres cannot hold: %j', async (text) => {
    const before = await heads();
    const attributes = { site: { type: 'string' } };
    const version = '/v1/datasets/phantom/versions';
    const bodies: [string, string, unknown][] = [
      ['POST', '/v1/datasets', { name: 'n', description: text, attributes }],
      ['POST', '/v1/datasets', { name: 'n', labels: { [text]: 1 }, attributes }],
      ['POST', version, { base: 1, reason: text }],
      ['POST', '/v1/datasets/phantom/rule-sets', { name: 'n', rules: {}, reason: text }],
      ['POST', '/v1/jobs', { snapshot: 'x', target: 'x', seed: 1, reason: text }],
    ];
    for (const [method, path, body] of bodies) {
      const { status } = await api.call(method, path, body);
      expect([path, status >= 400 && status < 500]).toEqual([path, true]);
    }
    expect(await heads()).toEqual(before);
  });
});
