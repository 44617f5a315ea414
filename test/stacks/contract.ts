// The whole contract as one list of steps, for every stack. A route that is added and called by no
// step fails the last one: give it a line in `reads`, or a step where it belongs.

import { expect } from 'vitest';
import { type Document, uncalledRoutes, undocumentedAnswers } from './calls.ts';
import { careSteps } from './care-steps.ts';
import { type Chain, dataset, type Step } from './chain.ts';
import { dataSteps } from './data-steps.ts';
import { jobSteps } from './job-steps.ts';
import { snapshotSteps } from './snapshot-steps.ts';
import { teamSteps } from './team-steps.ts';

/** What is only read: a line for each route, by the admin, after all that was made. */
const reads: ((known: Chain['known']) => string)[] = [
  () => '/health',
  () => '/v1/datasets',
  () => dataset,
  () => `${dataset}/versions`,
  () => `${dataset}/versions/2`,
  () => `${dataset}/versions/2/cases?limit=3`,
  () => `${dataset}/rule-sets`,
  () => `${dataset}/rule-sets/rare@1`,
  () => `${dataset}/snapshots`,
  () => `${dataset}/aliases`,
  () => `${dataset}/withdrawals`,
  ({ snapshot }) => `/v1/snapshots/${snapshot}/approvals`,
  () => '/v1/jobs',
  ({ job }) => `/v1/jobs/${job}/ledger`,
  ({ job }) => `/v1/jobs/${job}/artifacts`,
  () => '/v1/usage?by=dataset',
  () => '/v1/audit?limit=10',
];

async function readAll({ admin, known, stack }: Chain): Promise<void> {
  for (const path of reads) await admin.must(200, 'GET', path(known));
  const health = await admin.must(200, 'GET', '/health');
  expect(health).toMatchObject({ status: 'ok', database: stack.database });
}

const documentOf = async ({ stack }: Chain) =>
  (await (await fetch(`${stack.url}/openapi.json`)).json()) as Document;

async function allCalled(chain: Chain): Promise<void> {
  const document = await documentOf(chain);
  const uncalled = uncalledRoutes(document, chain.calls.noted);
  const what = 'called by no step with success: add a line to reads in test/stacks/contract.ts';
  expect(uncalled, `${what}, or a step beside it`).toEqual([]);
}

async function allDocumented(chain: Chain): Promise<void> {
  const document = await documentOf(chain);
  expect(undocumentedAnswers(document, chain.calls.noted)).toEqual([]);
}

export const contract: Step[] = [
  ...dataSteps,
  ...snapshotSteps,
  ...jobSteps,
  ...teamSteps,
  ...careSteps,
  ['everything that was made can be read', readAll],
  ['every route of the OpenAPI document was called', allCalled],
  ['every answer is one that the OpenAPI document tells of', allDocumented],
];
