// What push uploads: an nnU-Net raw folder, scanned now or earlier, or a file of lines by itself.

import { statSync } from 'node:fs';
import type { AttributeMap, AttributeSchema } from '../../api/contract/attributes.ts';
import { exitCodes, failure } from '../client.ts';
import type { Folds, RawDataset } from '../nnunet-raw.ts';
import { type Scan, scanDataset } from '../scan/scan.ts';
import { readDocument, readJsonLines } from './files.ts';
import type { Io } from './io.ts';
import { progress } from './progress.ts';

export type SourceOptions = {
  dataset?: string;
  lines?: string;
  splits?: string;
  allowFaults?: boolean;
};

export type PushSource = {
  name: string;
  attributes: AttributeMap;
  labels?: RawDataset['labels'];
  channels?: RawDataset['channels'];
  /** NDJSON lines, and the ids they name. */
  lines: string[];
  ids: string[];
  /** Folds as given; null where none are. */
  folds: Folds | null;
};

type Line = { id: string; removed?: boolean; attributes?: Record<string, unknown> };

type Fault = { id: string; detail: string };

/** Reads, or scans, what is to be pushed. Throws a Failure that names every refused case. */
export async function readSource(
  io: Io,
  source: string,
  options: SourceOptions,
): Promise<PushSource> {
  const given = options.splits === undefined ? null : (readDocument(options.splits) as Folds);
  if (isFile(source)) return { ...readLineFile(source, options), folds: given };
  const scan = scanDataset(source);
  const { lines, faults } =
    options.lines === undefined ? await scanLines(io, scan) : earlierLines(options.lines, scan);
  if (faults.length > 0 && !options.allowFaults) throw refusedCases(faults);
  for (const { id, detail } of faults) io.say(`left out: ${id}: ${detail}`);
  const { name, labels, channels, splits } = scan.raw;
  return {
    name: options.dataset ?? name,
    attributes: scan.attributes,
    labels,
    channels,
    ...textAndIds(lines),
    folds: withoutCases(given ?? splits, faults),
  };
}

function isFile(source: string): boolean {
  try {
    return statSync(source).isFile();
  } catch {
    throw failure(`${source}: there is no such folder or file`, exitCodes.usage);
  }
}

async function scanLines(
  io: Io,
  { cases, caseCount }: Scan,
): Promise<{ lines: Line[]; faults: Fault[] }> {
  const bar = progress(io, 'scan', caseCount);
  const lines: Line[] = [];
  const faults: Fault[] = [];
  for await (const scanned of cases) {
    if ('line' in scanned) lines.push(scanned.line);
    else faults.push(scanned.fault);
    bar.update(lines.length + faults.length);
  }
  bar.stop();
  return { lines, faults };
}

// Cases of the folder that an earlier scan has no line for: it refused them, or they came later.
function earlierLines(file: string, { raw }: Scan): { lines: Line[]; faults: Fault[] } {
  const lines = readLines(file);
  const named = new Set(lines.map(({ id }) => id));
  const faults = raw.cases
    .filter(({ id }) => !named.has(id))
    .map(({ id }) => ({ id, detail: `${file} has no line for it` }));
  return { lines, faults };
}

function readLines(file: string): Line[] {
  const lines = readJsonLines(file) as Line[];
  const nameless = lines.findIndex((line) => typeof line?.id !== 'string');
  if (lines.length > 0 && nameless < 0) return lines;
  const what = lines.length === 0 ? 'no line' : `a line without an id (the ${nameless + 1}th)`;
  throw failure(
    `${file} has ${what}; "counterweight scan DIR --out FILE" makes one`,
    exitCodes.usage,
  );
}

function readLineFile(file: string, { dataset }: SourceOptions): Omit<PushSource, 'folds'> {
  if (dataset === undefined) {
    throw failure('a file of lines has no name of its own; give --dataset NAME', exitCodes.usage);
  }
  const lines = readLines(file);
  return { name: dataset, attributes: attributesOf(lines), ...textAndIds(lines) };
}

function textAndIds(lines: Line[]): { lines: string[]; ids: string[] } {
  return {
    lines: lines.map((line) => JSON.stringify(line)),
    ids: lines.filter(({ removed }) => !removed).map(({ id }) => id),
  };
}

/** The schema of lines whose folder is not at hand; required is what all of them have. */
export function attributesOf(lines: Line[]): AttributeMap {
  const cases = lines.filter(({ removed }) => !removed);
  const found = new Map<string, { type: AttributeSchema['type']; count: number }>();
  for (const { attributes = {} } of cases) {
    for (const [name, value] of Object.entries(attributes)) {
      const { type, count } = found.get(name) ?? { type: typeOf(value), count: 0 };
      found.set(name, { type, count: count + 1 });
    }
  }
  return Object.fromEntries(
    [...found].map(([name, { type, count }]) => [name, { type, required: count === cases.length }]),
  );
}

function typeOf(value: unknown): AttributeSchema['type'] {
  if (Array.isArray(value)) return 'labels';
  return typeof value === 'number' || typeof value === 'boolean'
    ? (typeof value as 'number' | 'boolean')
    : 'string';
}

// A refused case must not stop its whole fold; any other unknown id is the service's to name.
function withoutCases(folds: Folds | null, faults: Fault[]): Folds | null {
  if (folds === null || faults.length === 0) return folds;
  const gone = new Set(faults.map(({ id }) => id));
  const kept = (ids: string[]) => ids.filter((id) => !gone.has(id));
  return folds.map(({ train, val }) => ({ train: kept(train), val: kept(val) }));
}

function refusedCases(faults: Fault[]) {
  const named = faults.map(({ id, detail }) => `\n  ${id}: ${detail}`).join('');
  return failure(
    `${faults.length} cases were refused and nothing was uploaded. Mend them, or leave them out with --allow-faults:${named}`,
  );
}
