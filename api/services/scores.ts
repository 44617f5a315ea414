// Scores that models gave to cases which they had not trained on: nnU-Net's validation of one fold
// becomes an attribute of a draft's cases, under the leak guard (METHOD.md section 8).

import { type AttributeMap, type AttributeSchema, caseIdFault } from '../contract/attributes.ts';
import { type ScoresAnswer, type Summary, summaryLimits } from '../contract/scores.ts';
import type { Actor, Deps } from '../deps.ts';
import { type InputFault, ProblemError } from '../errors.ts';
import { sha256Text } from '../ids.ts';
import { findOrdinals } from '../store/cases.ts';
import type { Orm } from '../store/database.ts';
import { findCasesOf, insertScores } from '../store/scores.ts';
import { findFold } from '../store/splits.ts';
import { type DiceScore, diceScores } from '../weights/dice-scores.ts';
import { requireDataset } from './datasets.ts';
import { entryOf } from './entries.ts';
import { requireVersion } from './versions.ts';

export type PutScores = {
  dataset: string;
  number: number;
  attribute: string;
  split: string;
  fold: number;
  model?: string;
  reason: string;
  summary: Summary;
  /** The file as it was sent, for its digest. */
  text: string;
};

/**
 * Stores the out-of-fold foreground mean Dice (0 to 1) of one fold's validation cases in a draft,
 * in place of what this fold had; cases without a Dice lose theirs. Declares the attribute where it
 * is missing. Throws `unprocessable` naming cases that are not on that validation side, are named
 * twice or have a Dice outside of 0 to 1, or saying what else the attribute is; then nothing is
 * stored. METHOD.md section 8.
 */
export async function putScores(deps: Deps, actor: Actor, input: PutScores): Promise<ScoresAnswer> {
  const dataset = await requireDataset(deps, actor, input.dataset);
  const { number, attribute, split, fold } = input;
  await requireVersion(deps, { datasetId: dataset.id, number }, 'draft');
  const to = withScoreAttribute(dataset.attributes, input);
  const declare = to === dataset.attributes ? null : { from: dataset.attributes, to };
  const fileDigest = await sha256Text(input.text);
  const key = { datasetId: dataset.id, version: number };
  const stored = await insertScores(
    deps.database.orm,
    key,
    async (tx) => ({ attribute, declare, ...(await readScores(tx, { ...key, ...input })) }),
    ({ scored, missing }, changed) =>
      entryOf(deps, actor, {
        action: 'scores.imported',
        subject: `dataset/${dataset.id}/version/${number}`,
        reason: input.reason,
        detail: {
          ...{ attribute, split, fold, scored, changed, missing: missing.count },
          ...{ origin: to[attribute].origin, declared: declare !== null, digest: fileDigest },
        },
      }),
  );
  if (stored === null) {
    throw new ProblemError('conflict', `Version ${number} is no draft any more.`);
  }
  const { scored, missing } = stored.prepared;
  const counts = { scored, changed: stored.changed };
  return { attribute, split, fold, ...counts, missing: missing.ids, missingCount: missing.count };
}

// The schema with the attribute declared; the same schema where it was.
function withScoreAttribute(
  attributes: AttributeMap,
  { attribute: name, split, model }: PutScores,
): AttributeMap {
  if (!Object.hasOwn(attributes, name)) {
    const origin = { model: model ?? name, evidence: 'outOfFold' as const, split };
    return { ...attributes, [name]: { type: 'number', required: false, origin } };
  }
  const { type, origin } = attributes[name];
  const fits =
    type === 'number' &&
    typeof origin === 'object' &&
    origin.evidence === 'outOfFold' &&
    origin.split === split &&
    (model === undefined || origin.model === model);
  if (fits) return attributes;
  const wanted = `out-of-fold scores${model === undefined ? '' : ` of model "${model}"`} for split "${split}"`;
  const detail = `attribute "${name}" is ${declaredAs(attributes[name])}, so it cannot hold ${wanted}; put them under another name`;
  throw new ProblemError('unprocessable', `Nothing was stored: ${detail}.`, {
    errors: [{ pointer: '/attribute', detail }],
  });
}

function declaredAs({ type, origin }: AttributeSchema): string {
  if (typeof origin !== 'object') return `a ${type} that is ${origin ?? 'of no stated origin'}`;
  const evidence = origin.evidence === 'outOfFold' ? 'out-of-fold' : 'in-training';
  const of = origin.split === undefined ? 'no stated split' : `split "${origin.split}"`;
  return `a ${type} with ${evidence} evidence of model "${origin.model}" for ${of}`;
}

type Key = { datasetId: string; version: number };
type ReadScores = {
  scores: Map<number, number | null>;
  scored: number;
  missing: { count: number; ids: string[] };
};

async function readScores(tx: Orm, input: Key & PutScores): Promise<ReadScores> {
  const { scores: found, faults } = diceScores(input.summary);
  const sides = await findFold(tx, input);
  const wellFormed = found.filter(({ caseId }) => caseIdFault(caseId) === null);
  const ids = [...new Set(wellFormed.map(({ caseId }) => caseId))];
  const ordinals = await findOrdinals(tx, { ...input, ids });
  faults.push(...placeFaults(found, { ...input, ordinals, ...sides }));
  refuse(faults);
  const scores = new Map<number, number | null>();
  for (const ordinal of sides.val) scores.set(ordinal, null);
  for (const { caseId, dice } of found) scores.set(ordinals.get(caseId) as number, dice);
  const without = [...sides.val].filter((ordinal) => scores.get(ordinal) === null);
  const limit = summaryLimits.faults;
  const missing = await findCasesOf(tx, { ...input, ordinals: without, limit });
  return { scores, scored: scores.size - without.length, missing };
}

// A score for a case that its model trained on would let the model's own memory decide.
function placeFaults(
  found: DiceScore[],
  where: Key & {
    split: string;
    fold: number;
    ordinals: Map<string, number>;
    train: Int32Array;
    val: Int32Array;
  },
): InputFault[] {
  const { ordinals, version, split, fold } = where;
  const train = new Set(where.train);
  const val = new Set(where.val);
  const seen = new Set<string>();
  const side = `the validation side of fold ${fold} of split "${split}"`;
  const faultOf = (caseId: string): string | null => {
    if (seen.has(caseId)) return `case "${caseId}" is named twice in this file`;
    seen.add(caseId);
    const ordinal = ordinals.get(caseId);
    if (ordinal === undefined) {
      return `"${caseId}" is not a case of version ${version} (the id is the file name without its ending)`;
    }
    if (train.has(ordinal)) {
      return `case "${caseId}" is not on ${side} but on its training side: that model has seen it`;
    }
    return val.has(ordinal) ? null : `case "${caseId}" is not on ${side}`;
  };
  return found.flatMap(({ caseId, pointer }) => {
    const detail = faultOf(caseId);
    return detail === null ? [] : [{ caseId, pointer, detail }];
  });
}

function refuse(faults: InputFault[]): void {
  if (faults.length === 0) return;
  const more = faults.length === 1 ? '' : ` (and ${faults.length - 1} more)`;
  throw new ProblemError(
    'unprocessable',
    `The scores were not stored: ${faults[0].detail}${more}.`,
    { errors: faults.slice(0, summaryLimits.faults) },
  );
}
