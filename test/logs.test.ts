// Lines of the log: levels, one line an event whatever is in it, and no value of a failed query.

import { sql } from 'drizzle-orm';
import { expect, test } from 'vitest';
import { causeText, jsonLog } from '../api/logs.ts';
import { openPglite } from '../api/store/open-pglite.ts';

const now = () => new Date('2026-03-01T09:00:00Z');

function written(from: 'debug' | 'info' | 'warn' | 'error') {
  const lines: string[] = [];
  return { lines, log: jsonLog({ from, now, write: (line) => lines.push(line) }) };
}

test('what is below the level is not written', () => {
  const levels = ['debug', 'info', 'warn', 'error'] as const;
  const kept = levels.map((from) => {
    const { lines, log } = written(from);
    for (const level of levels) log(level, level);
    return lines.map((line) => JSON.parse(line).message);
  });
  expect(kept).toEqual([levels, levels.slice(1), levels.slice(2), levels.slice(3)]);
});

test('an event is one line, whatever somebody wrote into it', () => {
  const { lines, log } = written('info');
  const forged = 'x\n{"level":"error","message":"forged"}\u2028\r';
  log('warn', forged, { path: forged });
  expect(lines).toHaveLength(1);
  expect(lines[0]).not.toMatch(/[\n\r]/);
  expect(JSON.parse(lines[0])).toEqual({
    at: '2026-03-01T09:00:00.000Z',
    level: 'warn',
    message: forged,
    path: forged,
  });
});

test('the cause of an error is told to its end, with places in the code', () => {
  const told = causeText(new Error('outside', { cause: new TypeError('inside') }));
  expect(told).toMatch(/^Error: outside\n\s+at .*logs\.test\.ts/);
  expect(told).toMatch(/\ncaused by TypeError: inside\n\s+at /);
});

test('a failed query is told without the values that it had', async () => {
  const database = await openPglite();
  const secret = 'cw_of_somebody\n    at a place that is none';
  const failed = database.orm.execute(sql`select ${secret}::text from nonesuch`);
  const error = await failed.then(
    () => new Error('it did not fail'),
    (caught: Error) => caught,
  );
  expect(error.message).toContain('cw_of_somebody');
  const { lines, log } = written('info');
  log('error', 'x', { cause: error });
  expect(lines[0]).not.toContain('cw_of_somebody');
  expect(lines[0]).toContain('from nonesuch');
  expect(lines[0]).toContain('relation \\"nonesuch\\" does not exist');
  await database.close();
});
