// Datasets: create, read, list, add an attribute.

import type { AttributeMap, AttributeSchema } from '../contract/attributes.ts';
import type { CreateDataset, Dataset } from '../contract/datasets.ts';
import type { Actor, Deps } from '../deps.ts';
import { ProblemError } from '../errors.ts';
import { newId } from '../ids.ts';
import {
  type DatasetRow,
  findDataset,
  insertDataset,
  listDatasets,
  moveAttributes,
} from '../store/datasets.ts';
import { entryOf } from './entries.ts';

export function datasetView(row: DatasetRow): Dataset {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    labels: row.labels ?? null,
    channels: row.channels ?? null,
    subjectAttribute: row.subjectAttribute,
    attributes: row.attributes,
    createdAt: row.createdAt.toISOString(),
    createdBy: row.createdBy,
  };
}

/** The dataset of an id or name in the actor's workspace; throws `not-found`. */
export async function requireDataset(deps: Deps, actor: Actor, key: string): Promise<DatasetRow> {
  const row = await findDataset(deps.database.orm, { workspaceId: actor.workspaceId, key });
  if (row === undefined) {
    throw new ProblemError('not-found', `There is no dataset "${key}" in this workspace.`);
  }
  return row;
}

/** Creates a dataset. Throws `conflict` where the name is taken. */
export async function createDataset(
  deps: Deps,
  actor: Actor,
  input: CreateDataset,
): Promise<Dataset> {
  if (input.subjectAttribute !== undefined) {
    requireSubjectAttribute(input.attributes, input.subjectAttribute);
  }
  const row: DatasetRow = {
    id: newId(deps),
    workspaceId: actor.workspaceId,
    name: input.name,
    description: input.description ?? null,
    labels: input.labels ?? null,
    channels: input.channels ?? null,
    subjectAttribute: input.subjectAttribute ?? null,
    attributes: input.attributes,
    createdAt: deps.now(),
    createdBy: actor.name,
  };
  const entry = entryOf(deps, actor, {
    action: 'dataset.created',
    subject: `dataset/${row.id}`,
    detail: { name: row.name, attributes: row.attributes },
  });
  if (!(await insertDataset(deps.database.orm, row, entry))) {
    throw new ProblemError(
      'conflict',
      `A dataset named "${input.name}" is there already. Add a version to it, or choose another name.`,
    );
  }
  return datasetView(row);
}

function requireSubjectAttribute(attributes: AttributeMap, name: string): void {
  if (attributes[name]?.type === 'string') return;
  throw new ProblemError(
    'unprocessable',
    `subjectAttribute "${name}" must name a declared attribute of type string.`,
    { errors: [{ pointer: '/subjectAttribute', detail: 'not a declared string attribute' }] },
  );
}

export async function getDataset(deps: Deps, actor: Actor, key: string): Promise<Dataset> {
  return datasetView(await requireDataset(deps, actor, key));
}

export async function pageOfDatasets(
  deps: Deps,
  actor: Actor,
  { after, limit }: { after?: string; limit: number },
): Promise<Dataset[]> {
  const found = await listDatasets(deps.database.orm, {
    workspaceId: actor.workspaceId,
    after,
    limit,
  });
  return found.map(datasetView);
}

/** Adds an attribute; an attribute that is there keeps its type for good. */
export async function addAttribute(
  deps: Deps,
  actor: Actor,
  input: { dataset: string; name: string; attribute: AttributeSchema; reason?: string },
): Promise<Dataset> {
  const dataset = await requireDataset(deps, actor, input.dataset);
  const known = dataset.attributes[input.name];
  if (known !== undefined && JSON.stringify(known) === JSON.stringify(input.attribute)) {
    return datasetView(dataset);
  }
  if (known !== undefined) {
    throw new ProblemError(
      'conflict',
      `Attribute "${input.name}" is declared already, as ${known.type}; its declaration never changes. Add one under another name.`,
    );
  }
  const to = { ...dataset.attributes, [input.name]: input.attribute };
  const entry = entryOf(deps, actor, {
    action: 'dataset.attribute-added',
    subject: `dataset/${dataset.id}`,
    reason: input.reason,
    detail: { name: input.name, attribute: input.attribute },
  });
  const change = { datasetId: dataset.id, from: dataset.attributes, to };
  if (!(await moveAttributes(deps.database.orm, change, entry))) {
    throw new ProblemError('conflict', 'The attributes changed at the same moment; try again.');
  }
  return datasetView({ ...dataset, attributes: to });
}
