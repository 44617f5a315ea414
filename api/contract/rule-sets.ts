// The rule document of METHOD.md section 3. Unknown keys are refused: a misspelt one that was
// ignored would make another snapshot than was asked for.

import { z } from 'zod';
import { nameSchema, reasonSchema } from './shared.ts';

/** A strict object that says, of a field it does not have, which ones it has. */
function fields<Shape extends z.core.$ZodLooseShape>(what: string, shape: Shape) {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return undefined;
      const names = issue.keys.map((key) => JSON.stringify(key)).join(', ');
      const keys = issue.keys.length === 1 ? 'key' : 'keys';
      return `Unrecognized ${keys}: ${names}; the fields of ${what} are ${known}`;
    },
  });
}

const termName = z.string().min(1).max(100);
const expression = z.string().min(1).max(4_000);
const attribute = z.string().min(1).max(100);
const positive = z.number().positive();
const notNegative = z.number().min(0);

export const matchTermSchema = fields('a match term', {
  name: termName,
  kind: z.literal('match'),
  when: expression,
  factor: notNegative,
  otherwise: notNegative.default(1),
});

export const formulaTermSchema = fields('a formula term', {
  name: termName,
  kind: z.literal('formula'),
  expression,
});

const binsSchema = fields('an attribute with bins', {
  attribute,
  bins: z
    .array(z.number())
    .min(1)
    .max(100)
    .refine(
      (edges) => edges.every((edge, k) => k === 0 || edge > edges[k - 1]),
      'bin edges must rise',
    ),
});

// What is wrong with an entry of `by`: an object can only have been meant as one with bins.
function byFault({ input, ...issue }: z.core.$ZodRawIssue): string {
  const form = 'name an attribute, or a number with bins: {"attribute": NAME, "bins": [EDGES]}';
  const inner = issue.code === 'invalid_union' && typeof input === 'object' ? issue.errors[1] : [];
  const fault = inner.find(({ code }) => code === 'unrecognized_keys') ?? inner[0];
  return fault === undefined ? form : `${fault.message}; ${form}`;
}

export const rarityTermSchema = fields('a rarity term', {
  name: termName,
  kind: z.literal('rarity'),
  by: z
    .array(z.union([attribute, binsSchema], { error: byFault }))
    .min(1)
    .max(10),
  method: z.enum(['inverse-frequency', 'effective-number']),
  power: notNegative.max(10).optional(),
  beta: z.number().min(0).lt(1).optional(),
  smoothing: notNegative.default(0),
})
  .refine((term) => term.method !== 'inverse-frequency' || term.power !== undefined, {
    path: ['power'],
    message: 'inverse-frequency needs a power, for instance 0.5',
  })
  .refine((term) => term.method !== 'effective-number' || term.beta !== undefined, {
    path: ['beta'],
    message: 'effective-number needs a beta, for instance 0.99',
  })
  .refine((term) => term.method !== 'inverse-frequency' || term.beta === undefined, {
    path: ['beta'],
    message: 'beta belongs to effective-number; inverse-frequency has a power',
  })
  .refine(
    (term) =>
      term.method !== 'effective-number' || (term.power === undefined && term.smoothing === 0),
    {
      path: ['method'],
      message: 'power and smoothing belong to inverse-frequency; effective-number has a beta',
    },
  );

export const qualityTermSchema = fields('a quality term', {
  name: termName,
  kind: z.literal('quality'),
  attribute,
  from: z.number(),
  to: z.number(),
  factorAtFrom: notNegative,
  factorAtTo: notNegative,
}).refine((term) => term.from !== term.to, { path: ['to'], message: 'to must differ from from' });

export const difficultyTermSchema = fields('a difficulty term', {
  name: termName,
  kind: z.literal('difficulty'),
  attribute,
  measure: z.enum(['dice', 'loss']),
  power: notNegative.max(10),
  /** Percent of the cases that have a value; larger difficulties are cut to its value. */
  clipPercentile: z.number().min(0).max(100).default(95),
});

export const termSchema = z.discriminatedUnion(
  'kind',
  [matchTermSchema, formulaTermSchema, rarityTermSchema, qualityTermSchema, difficultyTermSchema],
  {
    error: ({ code, input }) => {
      if (code !== 'invalid_union') return undefined;
      const { kind } = input as { kind?: unknown };
      const what =
        kind === undefined
          ? 'a term has a kind'
          : `${JSON.stringify(kind).slice(0, 100)} is no kind of term`;
      return `${what}; the kinds are match, formula, rarity, quality and difficulty`;
    },
  },
);
export type Term = z.output<typeof termSchema>;
export type TermKind = Term['kind'];
export type TermOf<Kind extends TermKind> = Extract<Term, { kind: Kind }>;

const namedOnce = (terms: { name: string }[]) =>
  new Set(terms.map((term) => term.name)).size === terms.length;
const termsSchema = z
  .array(termSchema)
  .max(50)
  .default([])
  .refine(namedOnce, 'two terms of one list have the same name');

const samplingSchema = fields('sampling', {
  terms: termsSchema,
  /** Exponent on the product of the terms. */
  temper: positive.max(10).default(1),
  floor: positive.max(1, 'the floor is above 0 and at most 1').default(0.2),
  cap: z.number().min(1, 'the cap is at least 1').max(1e6).default(5),
});

export const scheduleSchema = fields('schedule', {
  kind: z.literal('ramp'),
  epochs: z.int().min(1),
  stages: z.int().min(1).max(1000).default(10),
});

export const adaptiveSchema = fields('adaptive', {
  everyEpochs: z.int().min(1),
  attribute,
  momentum: z.number().min(0).max(1),
  minEvidence: z.int().min(1),
  maxShift: positive.max(1).default(0.2),
});

export const ruleDocumentSchema = fields('a rule document', {
  exclude: z
    .array(fields('an exclusion', { name: termName, when: expression }))
    .max(50)
    .default([])
    .refine(namedOnce, 'two exclusions have the same name'),
  groups: z
    .array(attribute)
    .max(20)
    .default([])
    .refine((names) => new Set(names).size === names.length, 'a group is named twice'),
  target: fields('target', { terms: termsSchema }).prefault({}),
  sampling: samplingSchema.prefault({}),
  correction: fields('correction', { strength: z.number().min(0).max(1).default(1) }).prefault({}),
  schedule: scheduleSchema.nullable().default(null),
  adaptive: adaptiveSchema.nullable().default(null),
}).meta({ id: 'Rules', description: 'METHOD.md section 3' });
export type RuleDocument = z.output<typeof ruleDocumentSchema>;
export type RuleDocumentInput = z.input<typeof ruleDocumentSchema>;

export const checkRulesSchema = z.strictObject({ rules: ruleDocumentSchema });
/** `changes`: what will become of the draws during a run, a sentence each; none: they stay. */
export const checkedRulesSchema = z.object({ ok: z.literal(true), changes: z.array(z.string()) });
export const addRuleSetSchema = z.strictObject({
  name: nameSchema,
  rules: ruleDocumentSchema,
  reason: reasonSchema,
});

export const ruleSetSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    version: z.int(),
    digest: z.string(),
    rules: ruleDocumentSchema,
    reason: z.string(),
    createdAt: z.string(),
    createdBy: z.string(),
  })
  .meta({ id: 'RuleSet' });
export type RuleSet = z.output<typeof ruleSetSchema>;

export const ruleSetVersionSchema = ruleSetSchema
  .omit({ rules: true })
  .extend({
    /** Unified diff of the document to the version before it; null for the first version. */
    change: z.string().nullable(),
  })
  .meta({ id: 'RuleSetVersion' });
export type RuleSetVersion = z.output<typeof ruleSetVersionSchema>;

const namedSource = z
  .string()
  .regex(/^[^/]{1,100}\/[^/]{1,120}$/, 'name the rules to copy as dataset/name@version')
  .transform((text) => {
    const [dataset, ruleSet] = text.split('/');
    return { dataset, ruleSet };
  });

export const copyRuleSetSchema = z.strictObject({
  from: z.union(
    [namedSource, z.strictObject({ dataset: z.string().min(1), ruleSet: z.string().min(1) })],
    { error: 'name the rules to copy as "dataset/name@version" or {dataset, ruleSet}' },
  ),
  /** Name of the rule set here; that of the source where it is left out. */
  name: nameSchema.optional(),
  reason: reasonSchema,
});
export type CopyRuleSet = z.output<typeof copyRuleSetSchema>;

export const copiedRuleSetSchema = ruleSetSchema
  .extend({
    copiedFrom: z.object({
      dataset: z.string(),
      name: z.string(),
      version: z.int(),
      digest: z.string(),
    }),
  })
  .meta({ id: 'CopiedRuleSet' });
export type CopiedRuleSet = z.output<typeof copiedRuleSetSchema>;
