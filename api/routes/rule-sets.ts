// Rule sets of a dataset.

import { createRoute, z } from '@hono/zod-openapi';
import {
  addRuleSetSchema,
  checkedRulesSchema,
  checkRulesSchema,
  copiedRuleSetSchema,
  copyRuleSetSchema,
  ruleSetSchema,
  ruleSetVersionSchema,
} from '../contract/rule-sets.ts';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { decodeCursor, decodeNumberCursor, page } from '../http/paging.ts';
import { json, jsonBody, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { copyRuleSet, pageOfRuleSetVersions } from '../services/rule-set-versions.ts';
import { addRuleSet, checkRuleSet, getRuleSet, pageOfRuleSets } from '../services/rule-sets.ts';
import { datasetParam } from './datasets.ts';

const tags = ['rule sets'];
const path = '/v1/datasets/{dataset}/rule-sets';

export function ruleSetRoutes() {
  return oneRuleSetRoutes().route('/', versionRoutes());
}

function oneRuleSetRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path: `${path}/check`,
        tags,
        summary: 'Check rules without storing them',
        request: { params: datasetParam, body: jsonBody(checkRulesSchema) },
        responses: { 200: json(checkedRulesSchema, 'Sound'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await checkRuleSet(c.get('deps'), c.get('actor'), input), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path,
        tags,
        summary: 'Store the next version of a rule set',
        request: { params: datasetParam, body: jsonBody(addRuleSetSchema) },
        responses: { 201: json(ruleSetSchema, 'Stored'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await addRuleSet(c.get('deps'), c.get('actor'), input), 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List rule sets',
        request: { params: datasetParam, query: listQuerySchema },
        responses: { 200: json(listSchema(ruleSetSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const query = { ...c.req.valid('param'), after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfRuleSets(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: `${path}/{ruleSet}`,
        tags,
        summary: 'Read a rule set by id, name@version, or name (its newest version)',
        request: { params: datasetParam.extend({ ruleSet: z.string() }) },
        responses: { 200: json(ruleSetSchema, 'The rule set'), ...problems },
      }),
      async (c) =>
        c.json(await getRuleSet(c.get('deps'), c.get('actor'), c.req.valid('param')), 200),
    );
}

function versionRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path: `${path}/copy`,
        tags,
        summary: 'Copy a rule set of another dataset as the next version of a name here',
        request: { params: datasetParam, body: jsonBody(copyRuleSetSchema) },
        responses: { 201: json(copiedRuleSetSchema, 'Stored'), ...problems },
      }),
      async (c) => {
        const input = { ...c.req.valid('param'), ...c.req.valid('json') };
        return c.json(await copyRuleSet(c.get('deps'), c.get('actor'), input), 201);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: `${path}/{name}/history`,
        tags,
        summary: 'List the versions of a rule set, newest first, each with what it changed',
        request: { params: datasetParam.extend({ name: z.string() }), query: listQuerySchema },
        responses: { 200: json(listSchema(ruleSetVersionSchema), 'A page'), ...problems },
      }),
      async (c) => {
        const { limit, cursor } = c.req.valid('query');
        const before = decodeNumberCursor(cursor);
        const query = { ...c.req.valid('param'), before, limit: limit + 1 };
        const items = await pageOfRuleSetVersions(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.version, show: (i) => i }), 200);
      },
    );
}
