// JSON as Python writes it: the bare words are read, strings stay as they are, all else is strict.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pythonJson } from '../../api/http/python-json.ts';

test('reads NaN as null and infinities as themselves', () => {
  expect(pythonJson('{"a": NaN, "b": [Infinity, -Infinity, 1.5], "c":NaN}')).toEqual({
    a: null,
    b: [Infinity, -Infinity, 1.5],
    c: null,
  });
});

test('leaves the words alone inside of strings and names', () => {
  const value = { NaN: 'a NaN, "Infinity", \\', 'x\\"NaN': '\\" -Infinity' };
  expect(pythonJson(JSON.stringify(value))).toEqual(value);
});

test('reads whatever JSON there is as JSON.parse does', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      expect(pythonJson(text)).toEqual(JSON.parse(text));
    }),
  );
});

test.each(['', '{"a": nan}', '{"a": +Infinity}', '{"a": xNaN}', '{"a": "NaN}', "{'a': 1}", 'NaN1'])(
  'refuses %j as no JSON',
  (text) => {
    expect(() => pythonJson(text)).toThrow('not valid JSON');
  },
);
