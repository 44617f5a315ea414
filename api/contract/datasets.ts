// Datasets: a name that never changes and a typed schema of case attributes.

import { z } from 'zod';
import { attributeMapSchema, attributeSchema } from './attributes.ts';
import { nameSchema, reasonSchema } from './shared.ts';

const labelValue = z.union([z.int().min(0).max(65535), z.array(z.int().min(0).max(65535)).min(1)]);

export const labelsSchema = z.record(z.string().min(1).max(100), labelValue);
export const channelsSchema = z.record(z.string().regex(/^\d+$/), z.string().min(1).max(100));

export const createDatasetSchema = z
  .strictObject({
    name: nameSchema,
    description: z.string().max(4000).optional(),
    labels: labelsSchema.optional(),
    channels: channelsSchema.optional(),
    subjectAttribute: z.string().max(100).optional(),
    attributes: attributeMapSchema,
  })
  .meta({ id: 'CreateDataset' });
export type CreateDataset = z.infer<typeof createDatasetSchema>;

export const addAttributeSchema = attributeSchema.extend({ reason: reasonSchema.optional() });

export const datasetSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    description: z.string().nullable(),
    labels: labelsSchema.nullable(),
    channels: channelsSchema.nullable(),
    subjectAttribute: z.string().nullable(),
    attributes: attributeMapSchema,
    createdAt: z.string(),
    createdBy: z.string(),
  })
  .meta({ id: 'Dataset' });
export type Dataset = z.infer<typeof datasetSchema>;
