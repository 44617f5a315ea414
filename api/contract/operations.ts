// Every operation that speaks JSON, by method and path: what it takes and what it answers. Clients
// are typed by it; a test compares it with the OpenAPI document of the routes.

import { z } from 'zod';
import { agentAnswerSchema, agentReportSchema, claimAnswerSchema, claimSchema } from './agents.ts';
import { aliasSchema, putAliasSchema } from './aliases.ts';
import { approvalSchema, approveSchema, revokeApprovalSchema } from './approvals.ts';
import {
  auditEntrySchema,
  auditHeadSchema,
  auditKeySchema,
  auditQuerySchema,
  auditVerdictSchema,
  auditVerifyQuerySchema,
} from './audit.ts';
import { caseUsageQuerySchema, caseUsageSchema } from './case-usage.ts';
import { caseSchema } from './cases.ts';
import { addAttributeSchema, createDatasetSchema, datasetSchema } from './datasets.ts';
import { diffSchema } from './diffs.ts';
import {
  createGithubPolicySchema,
  exchangeSchema,
  githubPolicySchema,
  githubSessionSchema,
} from './github.ts';
import {
  artifactSchema,
  compareQuerySchema,
  comparisonSchema,
  dryRunSchema,
  eventQuerySchema,
  jobActionSchema,
  jobEventSchema,
  jobQuerySchema,
  jobSchema,
  launchedSchema,
  launchJobSchema,
  ledgerEpochSchema,
  metricPointSchema,
  metricQuerySchema,
  retryJobSchema,
} from './jobs.ts';
import { lineageSchema } from './lineage.ts';
import {
  addRuleSetSchema,
  checkedRulesSchema,
  checkRulesSchema,
  copiedRuleSetSchema,
  copyRuleSetSchema,
  ruleSetSchema,
  ruleSetVersionSchema,
} from './rule-sets.ts';
import { listQuerySchema, listSchema } from './shared.ts';
import { sharesQuerySchema, sharesSchema } from './shares.ts';
import {
  explanationSchema,
  freezeSchema,
  snapshotBatchSchema,
  snapshotQuerySchema,
  snapshotSchema,
  whatIfAnswerSchema,
  whatIfSchema,
} from './snapshots.ts';
import { healthSchema } from './system.ts';
import { targetCheckSchema, targetSchema } from './targets.ts';
import { createTokenSchema, madeTokenSchema, tokenSchema } from './tokens.ts';
import {
  finishAnswerSchema,
  finishSchema,
  reportAnswerSchema,
  reportSchema,
  snapshotDocumentSchema,
  trainerJobSchema,
} from './trainer.ts';
import { usageQuerySchema, usageSchema } from './usage.ts';
import { commitVersionSchema, openVersionSchema, versionSchema } from './versions.ts';
import {
  createWebhookSchema,
  deliveryQuerySchema,
  enableWebhookSchema,
  madeWebhookSchema,
  webhookDeliverySchema,
  webhookSchema,
} from './webhooks.ts';
import { withdrawalSchema, withdrawnSchema, withdrawSchema } from './withdrawals.ts';
import { createWorkspaceSchema, madeWorkspaceSchema, workspaceSchema } from './workspaces.ts';

/** The schemas of an operation; several answers are of several statuses. */
export type OperationSchemas = { body?: z.ZodType; query?: z.ZodObject; answer: z.ZodType };

const listOf = <Item extends z.ZodType>(item: Item) => ({
  query: listQuerySchema,
  answer: listSchema(item),
});

export const operations = {
  'GET /health': { answer: healthSchema },

  'POST /v1/datasets': { body: createDatasetSchema, answer: datasetSchema },
  'GET /v1/datasets': listOf(datasetSchema),
  'GET /v1/datasets/{dataset}': { answer: datasetSchema },
  'PUT /v1/datasets/{dataset}/attributes/{name}': {
    body: addAttributeSchema,
    answer: datasetSchema,
  },
  'POST /v1/datasets/{dataset}/versions': { body: openVersionSchema, answer: versionSchema },
  'GET /v1/datasets/{dataset}/versions': listOf(versionSchema),
  'GET /v1/datasets/{dataset}/versions/{n}': { answer: versionSchema },
  'DELETE /v1/datasets/{dataset}/versions/{n}': { answer: z.null() },
  'POST /v1/datasets/{dataset}/versions/{n}/commit': {
    body: commitVersionSchema,
    answer: versionSchema,
  },
  'GET /v1/datasets/{dataset}/versions/{n}/cases': listOf(caseSchema),
  'GET /v1/datasets/{dataset}/cases/{caseId}/usage': {
    query: caseUsageQuerySchema,
    answer: caseUsageSchema,
  },
  'POST /v1/datasets/{dataset}/withdrawals': { body: withdrawSchema, answer: withdrawnSchema },
  'GET /v1/datasets/{dataset}/withdrawals': listOf(withdrawalSchema),

  'POST /v1/datasets/{dataset}/rule-sets/check': {
    body: checkRulesSchema,
    answer: checkedRulesSchema,
  },
  'POST /v1/datasets/{dataset}/rule-sets': { body: addRuleSetSchema, answer: ruleSetSchema },
  'GET /v1/datasets/{dataset}/rule-sets': listOf(ruleSetSchema),
  'GET /v1/datasets/{dataset}/rule-sets/{ruleSet}': { answer: ruleSetSchema },
  'POST /v1/datasets/{dataset}/rule-sets/copy': {
    body: copyRuleSetSchema,
    answer: copiedRuleSetSchema,
  },
  'GET /v1/datasets/{dataset}/rule-sets/{name}/history': listOf(ruleSetVersionSchema),

  'POST /v1/datasets/{dataset}/what-if': { body: whatIfSchema, answer: whatIfAnswerSchema },
  'POST /v1/datasets/{dataset}/snapshots': {
    body: freezeSchema,
    answer: z.union([snapshotSchema, snapshotBatchSchema]),
  },
  'GET /v1/datasets/{dataset}/snapshots': {
    query: snapshotQuerySchema,
    answer: listSchema(snapshotSchema),
  },
  'GET /v1/snapshots/{snapshot}': { answer: snapshotSchema },
  'GET /v1/snapshots/{snapshot}/cases': { answer: snapshotDocumentSchema },
  'GET /v1/snapshots/{snapshot}/cases/{caseId}': { answer: explanationSchema },
  'GET /v1/snapshots/{a}/diff/{b}': { answer: diffSchema },
  'GET /v1/snapshots/{snapshot}/shares': { query: sharesQuerySchema, answer: sharesSchema },
  'POST /v1/snapshots/{snapshot}/approvals': { body: approveSchema, answer: approvalSchema },
  'GET /v1/snapshots/{snapshot}/approvals': listOf(approvalSchema),
  'POST /v1/snapshots/{snapshot}/approvals/{id}/revoke': {
    body: revokeApprovalSchema,
    answer: approvalSchema,
  },
  'GET /v1/snapshots/{snapshot}/lineage': { answer: lineageSchema },

  'PUT /v1/datasets/{dataset}/aliases/{alias}': { body: putAliasSchema, answer: aliasSchema },
  'GET /v1/datasets/{dataset}/aliases/{alias}': { answer: aliasSchema },
  'GET /v1/datasets/{dataset}/aliases': listOf(aliasSchema),

  'GET /v1/targets': { answer: listSchema(targetSchema) },
  'GET /v1/targets/{name}/check': { answer: targetCheckSchema },

  'POST /v1/jobs': { body: launchJobSchema, answer: z.union([launchedSchema, dryRunSchema]) },
  'GET /v1/jobs': { query: jobQuerySchema, answer: listSchema(jobSchema) },
  'GET /v1/jobs/compare': { query: compareQuerySchema, answer: comparisonSchema },
  'GET /v1/jobs/{id}': { answer: jobSchema },
  'POST /v1/jobs/{id}/cancel': { body: jobActionSchema.optional(), answer: jobSchema },
  'POST /v1/jobs/{id}/retry': { body: retryJobSchema.optional(), answer: jobSchema },
  'GET /v1/jobs/{id}/metrics': { query: metricQuerySchema, answer: listSchema(metricPointSchema) },
  'GET /v1/jobs/{id}/events': { query: eventQuerySchema, answer: listSchema(jobEventSchema) },
  'GET /v1/jobs/{id}/ledger': { answer: listSchema(ledgerEpochSchema) },
  'GET /v1/jobs/{id}/artifacts': { answer: listSchema(artifactSchema) },
  'GET /v1/usage': { query: usageQuerySchema, answer: usageSchema },

  'POST /v1/agents/{target}/claim': { body: claimSchema, answer: claimAnswerSchema },
  'POST /v1/agents/attempts/{id}/state': { body: agentReportSchema, answer: agentAnswerSchema },

  'GET /v1/trainer/job': { answer: trainerJobSchema },
  'GET /v1/trainer/snapshot': {
    query: z.object({ digest: z.string().optional() }),
    answer: snapshotDocumentSchema,
  },
  'POST /v1/trainer/reports': { body: reportSchema, answer: reportAnswerSchema },
  'POST /v1/trainer/finish': { body: finishSchema, answer: finishAnswerSchema },

  'POST /v1/tokens': { body: createTokenSchema, answer: madeTokenSchema },
  'GET /v1/tokens': listOf(tokenSchema),
  'DELETE /v1/tokens/{id}': { answer: tokenSchema },

  'POST /v1/workspaces': { body: createWorkspaceSchema, answer: madeWorkspaceSchema },
  'GET /v1/workspaces': listOf(workspaceSchema),

  'POST /v1/github/exchange': { body: exchangeSchema, answer: githubSessionSchema },
  'POST /v1/github/policies': { body: createGithubPolicySchema, answer: githubPolicySchema },
  'GET /v1/github/policies': listOf(githubPolicySchema),
  'DELETE /v1/github/policies/{id}': { answer: githubPolicySchema },

  'POST /v1/webhooks': { body: createWebhookSchema, answer: madeWebhookSchema },
  'GET /v1/webhooks': listOf(webhookSchema),
  'GET /v1/webhooks/{id}': { answer: webhookSchema },
  'DELETE /v1/webhooks/{id}': { answer: webhookSchema },
  'POST /v1/webhooks/{id}/enable': { body: enableWebhookSchema, answer: webhookSchema },
  'POST /v1/webhooks/{id}/test': { answer: webhookDeliverySchema },
  'GET /v1/webhooks/{id}/deliveries': {
    query: deliveryQuerySchema,
    answer: listSchema(webhookDeliverySchema),
  },
  'POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver': { answer: webhookDeliverySchema },

  'GET /v1/audit': { query: auditQuerySchema, answer: listSchema(auditEntrySchema) },
  'GET /v1/audit/verify': { query: auditVerifyQuerySchema, answer: auditVerdictSchema },
  'GET /v1/audit/head': { answer: auditHeadSchema },
  'GET /v1/audit/key': { answer: auditKeySchema },
} as const satisfies Record<string, OperationSchemas>;
