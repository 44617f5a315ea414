// Shapes that several nouns share: names, reasons, lists, problems.

import { z } from 'zod';

const unstorable = /\0|\p{Surrogate}/u;

/** False for a text with a zero character or half of a surrogate pair: no Postgres text is so. */
export const isStorableText = (text: string) => !unstorable.test(text);

/** The largest number that a Postgres column of 32 bits holds. */
export const largestInteger = 2 ** 31 - 1;

export const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
    'a name is 1 to 100 letters, digits, dots, underscores or hyphens, and starts with a letter or digit',
  );

export const reasonSchema = z
  .string()
  .trim()
  .min(1, 'say why: a reason is required where a change can alter what a model learns')
  .max(2000);

export const digestSchema = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'a digest is sha256:<64 hex>');

export const foldSchema = z.union([z.int().min(0).max(1000), z.literal('all')]);
export type Fold = z.infer<typeof foldSchema>;

/** Several folds, each once. */
export const foldsSchema = z
  .array(foldSchema)
  .min(1)
  .max(100)
  .refine((folds) => new Set(folds).size === folds.length, { error: 'names a fold twice' });

export const listQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(400).optional(),
});
export type ListQuery = z.infer<typeof listQuerySchema>;

/** `{items, nextCursor}`: what every list answers. */
export function listSchema<Item extends z.ZodType>(item: Item) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string(),
    requestId: z.string(),
    traceId: z.string(),
    errors: z
      .array(
        z.object({
          pointer: z.string().optional(),
          line: z.int().optional(),
          caseId: z.string().optional(),
          detail: z.string(),
          range: z.object({ from: z.int(), to: z.int() }).optional(),
        }),
      )
      .optional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' });
