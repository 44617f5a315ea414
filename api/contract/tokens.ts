// Tokens: whose requests these are, and what they may do. The secret is in the answer that made the
// token and nowhere else.

import { z } from 'zod';

/**
 * `reader` reads; each of the others also does its own work, but `agent`, which does that alone and
 * reads nothing; `admin` does everything.
 */
export const roles = ['reader', 'editor', 'launcher', 'approver', 'agent', 'admin'] as const;
export type Role = (typeof roles)[number];

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const unseen = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

/** Who the audit chain names where no token asked; runs of GitHub are `github:...`. */
const ownActors = /^(service|deployment|github:.*)$/i;

// In one normal form: two names that look alike would pass for two people.
const label = z
  .string()
  .normalize('NFKC')
  .trim()
  .min(1)
  .max(100)
  .refine((text) => !unseen.test(text), { error: 'has characters that cannot be seen' });

/** Who asks with a token: the name on every row and audit entry. */
export const actorSchema = label.refine((text) => !ownActors.test(text), {
  error: 'this name stands for the service itself or for runs of GitHub; choose another',
});

export const createTokenSchema = z
  .strictObject({
    /** What the token is for. */
    name: label,
    actor: actorSchema,
    role: z.enum(roles),
    expiresAt: z.iso.datetime({ offset: true }).optional(),
  })
  .meta({ id: 'CreateToken' });
export type CreateToken = z.output<typeof createTokenSchema>;

export const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    actor: z.string(),
    role: z.enum(roles),
    createdAt: z.string(),
    expiresAt: z.string().nullable(),
    revokedAt: z.string().nullable(),
    /** Noted at most once a minute, so up to a minute behind. */
    lastUsedAt: z.string().nullable(),
  })
  .meta({ id: 'Token' });
export type Token = z.output<typeof tokenSchema>;

export const madeTokenSchema = tokenSchema.extend({ secret: z.string() }).meta({ id: 'MadeToken' });
export type MadeToken = z.output<typeof madeTokenSchema>;
