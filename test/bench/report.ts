// What a benchmark measured beside what it is compared with, as a table and as JSON.

import { writeFileSync } from 'node:fs';
import { cpus, platform, release, totalmem } from 'node:os';
import { table } from '../../trainer/commands/io.ts';

export type BenchRow = {
  name: string;
  value: number;
  unit: string;
  peer: string | null;
  /** Null where the peer is not installed: the name of the row then says how to get it. */
  peerValue: number | null;
  /** value / peerValue */
  ratio: number | null;
  /** The largest ratio that is good enough; null where none was promised. */
  target: number | null;
  met: boolean | null;
};

export function benchRow(
  measured: Pick<BenchRow, 'name' | 'value' | 'unit'> &
    Partial<Pick<BenchRow, 'peer' | 'peerValue' | 'target'>>,
): BenchRow {
  const { peer = null, peerValue = null, target = null, ...own } = measured;
  const ratio = peerValue === null ? null : own.value / peerValue;
  const met = ratio === null || target === null ? null : ratio <= target;
  return { ...own, peer, peerValue, ratio, target, met };
}

const shown = (value: number | null, digits = 3) =>
  value === null ? '-' : String(Number(value.toPrecision(digits)));

/** What follows `name` in the arguments; undefined where it is not there. */
export const flag = (args: string[], name: string): string | undefined => {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
};

/** Prints the rows; the last column says whether the target was reached. */
export function printRows(rows: BenchRow[]): void {
  const heading = ['', 'ours', 'peer', 'peer value', 'ratio', 'target', ''];
  const lines = rows.map(({ name, value, unit, peer, peerValue, ratio, target, met }) => [
    name,
    `${shown(value)} ${unit}`,
    peer ?? '',
    peerValue === null ? '-' : `${shown(peerValue)} ${unit}`,
    shown(ratio, 2),
    target === null ? '' : `<= ${target}`,
    met === null ? '' : met ? 'met' : 'MISSED',
  ]);
  console.log(table([heading, ...lines]));
}

/** Writes `{machine, rows}`; `more` adds what else was found on the machine. */
export function writeRows(
  file: string,
  rows: BenchRow[],
  more: Record<string, unknown> = {},
): void {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryMiB: Math.round(totalmem() / 2 ** 20),
    os: `${platform()} ${release()}`,
    node: process.version,
    ...more,
  };
  writeFileSync(file, `${JSON.stringify({ machine, rows }, null, 2)}\n`);
}
