// Workspaces: what keeps teams of one deployment apart. Nothing of one is seen from another.

import { z } from 'zod';
import { nameSchema, reasonSchema } from './shared.ts';
import { actorSchema, madeTokenSchema } from './tokens.ts';

/** The workspace of those who run the deployment: its admins, and nobody else, make others. */
export const deploymentWorkspace = 'default';

export const createWorkspaceSchema = z
  .strictObject({
    name: nameSchema,
    /** Who gets the first admin token. */
    actor: actorSchema.default('admin'),
    reason: reasonSchema.optional(),
  })
  .meta({ id: 'CreateWorkspace' });
export type CreateWorkspace = z.output<typeof createWorkspaceSchema>;

export const workspaceSchema = z
  .object({ id: z.string(), name: z.string(), createdAt: z.string() })
  .meta({ id: 'Workspace' });
export type Workspace = z.output<typeof workspaceSchema>;

export const madeWorkspaceSchema = workspaceSchema
  .extend({ token: madeTokenSchema })
  .meta({ id: 'MadeWorkspace' });
export type MadeWorkspace = z.output<typeof madeWorkspaceSchema>;
