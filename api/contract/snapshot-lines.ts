// The text forms of a snapshot's cases, to the byte: what the service writes and what a check of an
// exported file compares with. Made by the chunk, as columns; no object is kept per case.

/** Cases as columns, whichever arrays hold them. Units are out of 2^52. */
export type CaseColumns = {
  ids: readonly string[];
  targetUnits: ArrayLike<number>;
  drawUnits: ArrayLike<number>;
  lossFactors: ArrayLike<number>;
  scores: ArrayLike<number>;
};

/** A text form: what stands before the first case, between two, and after the last. */
export type LineForm = {
  before: string;
  line: (chunk: CaseColumns, k: number) => string;
  between: string;
  after: string;
};

export const csvHeading = 'id,targetUnits,drawUnits,lossFactor,score\r\n';

// By hand, in the order and form of JSON.stringify, at a third of its time.
const jsonLine: LineForm['line'] = (chunk, k) => {
  const units = `"targetUnits":"${chunk.targetUnits[k]}","drawUnits":"${chunk.drawUnits[k]}"`;
  const figures = `"lossFactor":${chunk.lossFactors[k]},"score":${chunk.scores[k]}`;
  return `{"id":${JSON.stringify(chunk.ids[k])},${units},${figures}}`;
};

// Ids are written as they are: a digest computed from the file must come out right.
const csvField = (text: string) =>
  /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;

const csvLine: LineForm['line'] = ({ ids, targetUnits, drawUnits, lossFactors, scores }, k) =>
  `${csvField(ids[k])},${targetUnits[k]},${drawUnits[k]},${lossFactors[k]},${scores[k]}`;

// Byte for byte what the digest is made of (METHOD.md section 5).
const tsvLine: LineForm['line'] = ({ ids, targetUnits, drawUnits, lossFactors }, k) =>
  `${ids[k]}\t${targetUnits[k]}\t${drawUnits[k]}\t${hexOf(lossFactors[k])}`;

const bits = new DataView(new ArrayBuffer(8));
let lastFactor = Number.NaN;
let lastHex = '';

// 16 hex digits, most significant first. Factors repeat: many cases stand at floor or cap.
function hexOf(value: number): string {
  if (value === lastFactor) return lastHex;
  bits.setFloat64(0, value);
  lastFactor = value;
  lastHex =
    bits.getUint32(0).toString(16).padStart(8, '0') +
    bits.getUint32(4).toString(16).padStart(8, '0');
  return lastHex;
}

/** The forms by media type; of the JSON document, the part inside its list of cases. */
export const lineForms = {
  'application/x-ndjson': { before: '', line: jsonLine, between: '\n', after: '\n' },
  'text/csv': { before: csvHeading, line: csvLine, between: '\r\n', after: '\r\n' },
  'application/json': { before: '', line: jsonLine, between: ',\n', after: ']}\n' },
  'text/tab-separated-values': { before: '', line: tsvLine, between: '\n', after: '\n' },
} as const satisfies Record<string, LineForm>;

export type SnapshotFormat = keyof typeof lineForms;

/** The lines of a chunk with what stands between them, and nothing before or after. */
export function chunkText({ line, between }: LineForm, chunk: CaseColumns): string {
  let text = '';
  for (let k = 0; k < chunk.ids.length; k++)
    text += k === 0 ? line(chunk, k) : between + line(chunk, k);
  return text;
}
