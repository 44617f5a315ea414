// Lines of an exported snapshot as columns. Reading is lax and fast: whoever reads must write the
// same lines again and compare, which finds whatever is not in the exported form.

import type { SnapshotFormat } from '../../api/contract/snapshot-lines.ts';

/** Cases as columns; `ids` counts those that were read. Units are out of 2^52. */
export type Columns = Record<
  'targetUnits' | 'drawUnits' | 'lossFactors' | 'scores',
  Float64Array
> & { ids: string[] };

/** Columns with room for so many cases, and none in them. */
export function emptyColumns(cases: number): Columns {
  const column = () => new Float64Array(cases);
  const [targetUnits, drawUnits, lossFactors, scores] = [column(), column(), column(), column()];
  return { ids: [], targetUnits, drawUnits, lossFactors, scores };
}

/** Adds the cases of a text from a place on to the columns, up to the first line that is none. */
export type LineReader = (text: string, from: number, into: Columns) => void;

export const lineReaders: Record<SnapshotFormat, LineReader> = {
  'application/json': readJsonLines,
  'application/x-ndjson': readJsonLines,
  'text/csv': readCsvLines,
  'text/tab-separated-values': readTsvLines,
};

const marks = {
  id: '{"id":"',
  target: '","targetUnits":"',
  draw: '","drawUnits":"',
  factor: '","lossFactor":',
  score: ',"score":',
};

function readJsonLines(text: string, from: number, into: Columns): void {
  for (let at = from; at < text.length; ) {
    const target = text.indexOf(marks.target, at);
    const draw = text.indexOf(marks.draw, target);
    const factor = text.indexOf(marks.factor, draw);
    const score = text.indexOf(marks.score, factor);
    const end = text.indexOf('}', score);
    if (Math.min(target, draw, factor, score, end) < 0) return;
    const id = jsonText(text.slice(at + marks.id.length, target));
    if (id === null) return;
    const k = into.ids.push(id) - 1;
    into.targetUnits[k] = Number(text.slice(target + marks.target.length, draw));
    into.drawUnits[k] = Number(text.slice(draw + marks.draw.length, factor));
    into.lossFactors[k] = Number(text.slice(factor + marks.factor.length, score));
    into.scores[k] = Number(text.slice(score + marks.score.length, end));
    at = text.indexOf('\n', end) + 1;
    if (at === 0) return;
  }
}

function jsonText(inside: string): string | null {
  if (!inside.includes('\\')) return inside;
  try {
    return JSON.parse(`"${inside}"`) as string;
  } catch {
    return null;
  }
}

// Only an id can hold commas, so the numbers are found from the end of the line.
function readCsvLines(text: string, from: number, into: Columns): void {
  for (let at = from; at < text.length; ) {
    const end = text.indexOf('\r\n', at);
    const score = text.lastIndexOf(',', end);
    const factor = text.lastIndexOf(',', score - 1);
    const draw = text.lastIndexOf(',', factor - 1);
    const target = text.lastIndexOf(',', draw - 1);
    if (end < 0 || target < at) return;
    const field = text.slice(at, target);
    const id = field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field;
    const k = into.ids.push(id) - 1;
    into.targetUnits[k] = Number(text.slice(target + 1, draw));
    into.drawUnits[k] = Number(text.slice(draw + 1, factor));
    into.lossFactors[k] = Number(text.slice(factor + 1, score));
    into.scores[k] = Number(text.slice(score + 1, end));
    at = end + 2;
  }
}

const bits = new DataView(new ArrayBuffer(8));

function readTsvLines(text: string, from: number, into: Columns): void {
  for (let at = from; at < text.length; ) {
    const target = text.indexOf('\t', at);
    const draw = text.indexOf('\t', target + 1);
    const factor = text.indexOf('\t', draw + 1);
    const end = text.indexOf('\n', factor);
    if (Math.min(target, draw, factor, end) < 0) return;
    const k = into.ids.push(text.slice(at, target)) - 1;
    into.targetUnits[k] = Number(text.slice(target + 1, draw));
    into.drawUnits[k] = Number(text.slice(draw + 1, factor));
    bits.setUint32(0, Number.parseInt(text.slice(factor + 1, factor + 9), 16));
    bits.setUint32(4, Number.parseInt(text.slice(factor + 9, end), 16));
    into.lossFactors[k] = bits.getFloat64(0);
    at = end + 1;
  }
}
