// Cases: NDJSON in (all of a part or nothing), lists and streams out.

import type { AttributeMap } from '../contract/attributes.ts';
import { attributeFaults, caseIdFault } from '../contract/attributes.ts';
import { type Case, caseFileSchema, type UploadAnswer, uploadLimits } from '../contract/cases.ts';
import type { Actor, Deps } from '../deps.ts';
import { type InputFault, ProblemError } from '../errors.ts';
import {
  type CaseRow,
  findUploadPart,
  insertCases,
  listCasePages,
  listCases,
} from '../store/cases.ts';

import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';
import { packedTexts } from './packed-texts.ts';
import { runningSha256 } from './running-sha256.ts';
import { requireVersion } from './versions.ts';

/** A batch is one statement: so many lines, or fewer where they are long. */
const batchLimits = { lines: 5_000, characters: 2 ** 21 };
const filesSchema = caseFileSchema.array().max(1000);

type NumberedLine = { line: number; text: string };

/**
 * Stores one part of a draft's cases. Lines are `{id, attributes, files?}` or `{id, removed:
 * true}`. Throws `unprocessable` with up to 100 faults by line, and then nothing of the part is
 * stored.
 */
export async function uploadCases(
  deps: Deps,
  actor: Actor,
  input: {
    dataset: string;
    number: number;
    part: number | null;
    lines: AsyncIterable<NumberedLine>;
  },
): Promise<UploadAnswer> {
  const dataset = await requireDataset(deps, actor, input.dataset);
  const key = { datasetId: dataset.id, version: input.number };
  await requireVersion(deps, { datasetId: dataset.id, number: input.number }, 'draft');
  const read = await readLines(input.lines, dataset.attributes);
  if (input.part !== null) {
    const known = await findUploadPart(deps.database.orm, { ...key, part: input.part });
    if (known !== undefined) return repeatedPart(known, read.bodyDigest, input.part);
  }
  const upload = { ...key, ...read, part: input.part };
  const counts = await insertCases(deps.database.orm, upload, (stored) =>
    entryOf(deps, actor, {
      action: 'cases.uploaded',
      subject: `dataset/${dataset.id}/version/${input.number}`,
      detail: { part: input.part, received: read.received, ...stored, digest: read.bodyDigest },
    }),
  );
  if (counts === null) {
    throw new ProblemError('conflict', `Version ${input.number} is no draft any more.`);
  }
  return { received: read.received, ...counts };
}

function repeatedPart(
  known: { bodyDigest: string; answer: unknown },
  bodyDigest: string,
  part: number,
): UploadAnswer {
  if (known.bodyDigest === bodyDigest) return known.answer as UploadAnswer;
  throw new ProblemError(
    'conflict',
    `Upload-Part ${part} was stored already with other lines. Use a new part number for more lines.`,
  );
}

async function readLines(lines: AsyncIterable<NumberedLine>, attributes: AttributeMap) {
  const sha256 = runningSha256();
  const seen = new Map<string, number>();
  const faults: InputFault[] = [];
  const batches = packedTexts();
  let batch: string[] = [];
  let characters = 0;
  const flush = async () => {
    await batches.add(`[${batch.join(',')}]`);
    batch = [];
    characters = 0;
  };
  for await (const { line, text } of lines) {
    sha256.add(`${text}\n`);
    const read = readLine(text, attributes);
    if (seen.size >= uploadLimits.partLines) throw tooManyLines();
    const fault = 'fault' in read ? read.fault : duplicateFault(seen, read.id, line);
    if (fault !== null) {
      faults.push({ line, ...fault });
      if (faults.length >= uploadLimits.faults) break;
      continue;
    }
    const { stored } = read as { stored: string };
    batch.push(stored);
    characters += stored.length;
    if (batch.length >= batchLimits.lines || characters >= batchLimits.characters) await flush();
  }
  if (faults.length > 0) {
    throw new ProblemError(
      'unprocessable',
      `Line ${faults[0].line}: ${faults[0].detail}. Nothing of this part was stored.`,
      { errors: faults },
    );
  }
  if (batch.length > 0) await flush();
  return { batches: batches.all(), received: seen.size, bodyDigest: sha256.digest() };
}

function tooManyLines(): ProblemError {
  const detail = `A part has at most ${uploadLimits.partLines} lines; send several (Upload-Part).`;
  return new ProblemError('too-large', detail);
}

function duplicateFault(seen: Map<string, number>, id: string, line: number) {
  const before = seen.get(id);
  seen.set(id, line);
  return before === undefined
    ? null
    : { caseId: id, detail: `case "${id}" stands on line ${before} of this part already` };
}

type ReadLine =
  | { id: string; stored: string }
  | { fault: { detail: string; caseId?: string; pointer?: string } };

function readLine(text: string, attributes: AttributeMap): ReadLine {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const bare = /[:[,]\s*(NaN|-?Infinity)\b/.exec(text)?.[1];
    const hint = bare === undefined ? '' : ` (${bare} is not JSON; leave the attribute out)`;
    return { fault: { detail: `not a JSON object${hint}` } };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { fault: { detail: 'not a JSON object' } };
  }
  const line = value as Record<string, unknown>;
  const idFault = caseIdFault(line.id);
  if (idFault !== null) return { fault: { pointer: '/id', detail: idFault } };
  const id = line.id as string;
  if (line.removed === true) return { id, stored: JSON.stringify({ id, removed: true }) };
  return readCase(id, line, attributes);
}

function readCase(id: string, line: Record<string, unknown>, attributes: AttributeMap): ReadLine {
  const unknown = Object.keys(line).find((key) => !['id', 'attributes', 'files'].includes(key));
  if (unknown !== undefined) {
    return { fault: { caseId: id, pointer: `/${unknown}`, detail: `unknown field "${unknown}"` } };
  }
  const [fault] = attributeFaults(line.attributes, attributes);
  if (fault !== undefined) {
    return { fault: { caseId: id, pointer: `/attributes/${fault.name}`, detail: fault.detail } };
  }
  const files = filesSchema.safeParse(line.files ?? []);
  if (!files.success) {
    const [issue] = files.error.issues;
    const pointer = `/files/${issue.path.join('/')}`;
    return { fault: { caseId: id, pointer, detail: `files: ${issue.message}` } };
  }
  return { id, stored: JSON.stringify({ id, attributes: line.attributes, files: files.data }) };
}

export function caseView(row: CaseRow): Case {
  return { id: row.caseId, attributes: row.attributes, files: row.files };
}

export async function pageOfCases(
  deps: Deps,
  actor: Actor,
  {
    dataset,
    number,
    after,
    limit,
  }: { dataset: string; number: number; after?: string; limit: number },
): Promise<Case[]> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  await requireVersion(deps, { datasetId, number });
  const key = { datasetId, version: number, after: after ?? '', limit };
  return (await listCases(deps.database.orm, key)).map(caseView);
}

/** Every case of a version in id order, read a page at a time. */
export async function* exportCases(
  deps: Deps,
  actor: Actor,
  { dataset, number }: { dataset: string; number: number },
): AsyncGenerator<Case> {
  const { id: datasetId } = await requireDataset(deps, actor, dataset);
  await requireVersion(deps, { datasetId, number });
  for await (const page of listCasePages(deps.database.orm, { datasetId, version: number })) {
    yield* page.map(caseView);
  }
}
