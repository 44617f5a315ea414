// Tables as CSV (RFC 4180) that are opened in spreadsheets: a text that would run as a formula
// there is written as text.

export type CsvValue = string | number | null;

const plainNumber = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** One cell: null is empty; a text that begins like a formula and is no number gets a quote. */
export function csvCell(value: CsvValue): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  const runs = /^[=+\-@\t\r]/.test(value) && !plainNumber.test(value);
  const text = runs ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** The rows of a table below its head, a line at a time. */
export async function* csvLines<Name extends string>(
  columns: readonly Name[],
  rows: Iterable<Record<Name, CsvValue>>,
): AsyncGenerator<string> {
  yield `${columns.map(csvCell).join(',')}\r\n`;
  for (const row of rows) yield `${columns.map((name) => csvCell(row[name])).join(',')}\r\n`;
}
