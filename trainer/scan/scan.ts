// A scan reads a raw folder case by case. A broken case is named and the rest goes on; images stay
// where they are, only their numbers leave.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type RawDataset, readRawDataset } from '../nnunet-raw.ts';
import { scannedAttributes } from './attributes.ts';
import { type CaseLine, measureCase } from './measure.ts';

export type Scanned = { line: CaseLine } | { fault: { id: string; detail: string } };

export type Scan = {
  raw: RawDataset;
  attributes: ReturnType<typeof scannedAttributes>;
  caseCount: number;
  cases: AsyncGenerator<Scanned>;
};

/** Opens a folder; the cases are measured as they are asked for, one at a time. */
export function scanDataset(dir: string): Scan {
  const raw = readRawDataset(dir);
  return {
    raw,
    attributes: scannedAttributes(raw),
    caseCount: raw.cases.length,
    cases: measured(raw),
  };
}

async function* measured(raw: RawDataset): AsyncGenerator<Scanned> {
  for (const one of raw.cases) {
    const missing = one.images.find((file) => !existsSync(join(raw.dir, file)));
    try {
      if (missing !== undefined) throw new Error(`${join(raw.dir, missing)} is missing`);
      yield { line: await measureCase(raw, one) };
    } catch (error) {
      yield { fault: { id: one.id, detail: (error as Error).message } };
    }
  }
}
