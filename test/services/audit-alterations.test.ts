// Whatever somebody alters who owns the database, `GET /v1/audit/verify` finds it and names it:
// random alterations of every table that the chain vouches for, triggers and foreign keys aside.

import { type SQL, sql } from 'drizzle-orm';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Verdict } from '../../api/services/audit/verify.ts';
import { rows } from '../../api/store/database.ts';
import {
  type AuditHistory,
  anotherValue,
  type Column,
  columnsOf,
  openAuditHistory,
} from '../support/audit-history.ts';
import { must } from '../support/builders.ts';

let history: AuditHistory;
beforeAll(async () => {
  history = await openAuditHistory();
});
afterAll(() => history.database.close());

const verify = (): Promise<Verdict> => must(history, 200, 'GET', '/v1/audit/verify');
const said = (verdict: Verdict) =>
  verdict.findings.map((one) => `${one.kind} ${one.subject}: ${one.detail}`).join('\n');

/** How the row of a table is named in what is found about it. */
const nameOf: Record<string, (row: Record<string, unknown>) => RegExp> = {
  // The last entry is missed by the row that it left behind.
  audit_entries: ({ sequence, subject }) =>
    new RegExp(`entry ${sequence}\\b|${subject}: no entry knows`),
  snapshots: ({ digest }) => new RegExp(`snapshot/${digest}`),
  snapshot_chunks: () => new RegExp(`snapshot/${history.snapshot}: `),
  // Altered itself, a number or an epoch is shown as it now lies: the other of the two names it.
  draw_ledger: ({ job_id: id, sequence, epoch }) => {
    const row = `ledger row (${sequence} \\(epoch -?\\d+\\)|-?\\d+ \\(epoch ${epoch}\\)) of job ${id}`;
    return new RegExp(`${row}|job ${id} had \\d+ ledger rows`);
  },
  approvals: () => /^approval snapshot\/sha256/m,
  approval_revocations: () => /^approval snapshot\/sha256/m,
  alias_moves: ({ name }) => new RegExp(`alias/\\w+/${name}`),
  withdrawals: ({ case_id: id }) => new RegExp(`case/\\w+/${id}`),
};
const tables = Object.keys(nameOf);

async function rowsOf(table: string): Promise<Record<string, unknown>[]> {
  return await rows(history.database.orm, sql.raw(`select ctid::text, * from ${table} order by 1`));
}

/** Alters, checks, takes back; null where the alteration is impossible: a key that is taken. */
async function verdictAfter(statement: SQL): Promise<Verdict | null> {
  try {
    return await history.altered(statement, verify);
  } catch (error) {
    if (/duplicate key|check constraint/.test(String((error as Error).cause))) return null;
    throw error;
  }
}

test('an unaltered history holds', async () => {
  const verdict = await verify();
  expect(verdict).toMatchObject({ ok: true, findings: [], snapshots: 1, chunks: 1 });
  expect(verdict.ledgerRows).toBe(6);
  for (const table of tables) expect((await rowsOf(table)).length).toBeGreaterThan(0);
});

describe.each(tables)('%s', (table) => {
  let columns: Column[];
  let stored: Record<string, unknown>[];
  beforeAll(async () => {
    const whole = await columnsOf(history, table);
    columns = whole.filter(({ type }) => !type.startsWith('_'));
    stored = await rowsOf(table);
  });

  test('any other value of any column is found, and its row named', async () => {
    const change = fc.record({ row: fc.nat(), column: fc.nat(), pick: fc.nat() });
    await fc.assert(
      fc.asyncProperty(change, async (chosen) => {
        const row = stored[chosen.row % stored.length];
        const column = columns[chosen.column % columns.length];
        const value = anotherValue(column, chosen.pick);
        const other = sql.raw(`update ${table} set ${column.name} = ${value}
          where ctid = '${row.ctid}' and ${column.name} is distinct from ${value}`);
        const same = sql.raw(`select 1 from ${table}
          where ctid = '${row.ctid}' and ${column.name} is distinct from ${value}`);
        fc.pre((await rows(history.database.orm, same)).length > 0);
        const verdict = await verdictAfter(other);
        fc.pre(verdict !== null);
        expect(said(verdict as Verdict)).toMatch(nameOf[table](row));
      }),
      { numRuns: 20 },
    );
  });

  test('a removed row is found', async () => {
    for (const row of stored) {
      const gone = sql.raw(`delete from ${table} where ctid = '${row.ctid}'`);
      const { ok } = (await verdictAfter(gone)) as Verdict;
      expect([row, ok]).toEqual([row, false]);
    }
  });
});

/** A copy of a row under another key. */
const insertions: [string, string][] = [
  ['snapshots', `id = 'zz', input_digest = 'zz'`],
  ['snapshots', `id = '0', input_digest = 'zz', digest = 'sha256:none'`],
  ['snapshot_chunks', 'chunk = chunk + 1'],
  ['snapshot_chunks', 'chunk = chunk - 1'],
  ['jobs', `id = 'zz'`],
  ['draw_ledger', 'sequence = sequence + 1000'],
  ['draw_ledger', 'sequence = - sequence'],
  ['approvals', `id = 'zz'`],
  ['alias_moves', 'number = number + 10'],
  ['alias_moves', `name = 'other'`],
  ['withdrawals', `case_id = 'case_0002'`],
  ['audit_entries', 'sequence = sequence + 1000'],
  ['audit_entries', 'sequence = - sequence'],
  ['audit_entries', 'sequence = 0'],
];

test.each(insertions)('a row that is slipped into %s with %s is found', async (table, change) => {
  const names = (await columnsOf(history, table)).map(({ name }) => name);
  const changed = new Map(change.split(', ').map((one) => one.split(' = ') as [string, string]));
  const values = names.map((name) => changed.get(name) ?? name);
  const statement = sql.raw(`insert into ${table} (${names})
    select ${values} from ${table} order by ctid limit 1`);
  expect(await verdictAfter(statement)).toMatchObject({ ok: false });
});

/** The next float64 away from zero. */
function neighbour(value: number): number {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, value);
  bits.setBigUint64(0, bits.getBigUint64(0) + 1n);
  return bits.getFloat64(0);
}

const vectors = ['ordinals', 'target_units', 'draw_units', 'loss_factors', 'scores'];

test.each(vectors)('any element of %s, altered in any way, is found in its chunk', async (name) => {
  const whole = name === 'ordinals' || name.endsWith('units');
  const [{ list }] = await rows<{ list: number[] }>(
    history.database.orm,
    sql.raw(`select array_to_json(${name}) as list from snapshot_chunks`),
  );
  const way = fc.constantFrom('least', 'most', 'null', 'gone', 'twice', 'swapped', 'bounds');
  await fc.assert(
    fc.asyncProperty(fc.nat(list.length - 2), way, async (k, how) => {
      const next = { least: whole ? list[k] + 1 : neighbour(list[k]), most: -list[k] - 1 }[
        how as 'least'
      ];
      const places = `unnest(${name}) with ordinality p (v, k)`;
      const swap = `case k when ${k + 1} then ${k + 2} when ${k + 2} then ${k + 1} else k end`;
      const values: Record<string, string> = {
        gone: `(select array_agg(v order by k) from ${places} where k <> ${k + 1})`,
        twice: `${name} || ${name}[${k + 1}]`,
        swapped: `(select array_agg(v order by ${swap}) from ${places})`,
        bounds: `('[0:${list.length - 1}]=' || ${name}::text)::${whole && name !== 'ordinals' ? 'bigint' : whole ? 'int' : 'float8'}[]`,
      };
      fc.pre(how !== 'swapped' || list[k] !== list[k + 1]);
      const change =
        values[how] === undefined
          ? `${name}[${k + 1}] = ${how === 'null' ? 'null' : next}`
          : `${name} = ${values[how]}`;
      const verdict = await verdictAfter(sql.raw(`update snapshot_chunks set ${change}`));
      const first = verdict?.findings[0];
      expect([how, first]).toMatchObject([how, { kind: 'chunk', chunk: 0 }]);
      expect(first?.subject).toBe(`snapshot/${history.snapshot}`);
      expect(first?.detail).toContain('(from case "case_');
    }),
    { numRuns: 15 },
  );
});
