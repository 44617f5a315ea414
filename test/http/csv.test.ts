// Cells that spreadsheets read as what they are, and never run.

import { expect, test } from 'vitest';
import { type CsvValue, csvCell, csvLines } from '../../api/http/csv.ts';

test.each<[CsvValue, string]>([
  ['plain', 'plain'],
  ['', ''],
  [null, ''],
  [-0.5, '-0.5'],
  [1e-7, '1e-7'],
  ['a,b', '"a,b"'],
  ['say "it"', '"say ""it"""'],
  ['two\nlines', '"two\nlines"'],
  ['two\r', '"two\r"'],
  ['=1+1', "'=1+1"],
  ['+cmd', "'+cmd"],
  ['-cmd|x', "'-cmd|x"],
  ['@SUM(A1)', "'@SUM(A1)"],
  ['=HYPERLINK("x","y")', `"'=HYPERLINK(""x"",""y"")"`],
  ['\t=1', "'\t=1"],
  ['\r=1', `"'\r=1"`],
  ['-5', '-5'],
  ['+1.5e-3', '+1.5e-3'],
  ['-5+cmd', "'-5+cmd"],
  ['a=1', 'a=1'],
])('%j is written as %j', (value, cell) => {
  expect(csvCell(value)).toBe(cell);
});

test('a table has its head, its columns in their order, and CRLF after every line', async () => {
  const rows = [
    { b: 1, a: 'x' },
    { a: '=y', b: null },
  ];
  let text = '';
  for await (const line of csvLines(['a', 'b'], rows)) text += line;
  expect(text).toBe("a,b\r\nx,1\r\n'=y,\r\n");
});
