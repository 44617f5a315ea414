// Cases of a version: NDJSON in, pages or NDJSON out.

import { createRoute, z } from '@hono/zod-openapi';
import { caseSchema, uploadAnswerSchema, uploadLimits } from '../contract/cases.ts';
import { listQuerySchema, listSchema } from '../contract/shared.ts';
import { ProblemError } from '../errors.ts';
import { acceptedFormat } from '../http/negotiation.ts';
import { decodeCursor, page } from '../http/paging.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { bodyChunks, ndjson, numberedLines } from '../http/streams.ts';
import { exportCases, pageOfCases, uploadCases } from '../services/cases.ts';
import { versionParam } from './versions.ts';

const tags = ['cases'];
const path = '/v1/datasets/{dataset}/versions/{n}/cases';

function uploadPart(header: string | undefined): number | null {
  if (header === undefined) return null;
  if (/^\d{1,9}$/.test(header)) return Number(header);
  throw new ProblemError('invalid-request', 'Upload-Part is a number from 0.', {
    errors: [{ pointer: '/Upload-Part', detail: `"${header}" is not a part number` }],
  });
}

export function caseRoutes() {
  return router()
    .openapi(
      createRoute({
        method: 'post',
        path,
        tags,
        summary: 'Upload cases as NDJSON, gzip or not; all of a part is stored or nothing',
        description: `One JSON object a line: {id, attributes, files?} or {id, removed: true}. A part is at most ${uploadLimits.partBytes} bytes when unzipped and ${uploadLimits.partLines} lines; a line at most ${uploadLimits.lineBytes}.`,
        request: {
          params: versionParam,
          headers: z.object({ 'upload-part': z.string().optional() }),
        },
        responses: { 200: json(uploadAnswerSchema, 'What was stored'), ...problems },
      }),
      async (c) => {
        const { dataset, n } = c.req.valid('param');
        const part = uploadPart(c.req.header('upload-part'));
        const lines = numberedLines(bodyChunks(c.req.raw, uploadLimits.partBytes));
        const input = { dataset, number: n, part, lines };
        return c.json(await uploadCases(c.get('deps'), c.get('actor'), input), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path,
        tags,
        summary: 'List the cases of a version, or stream them as NDJSON',
        request: { params: versionParam, query: listQuerySchema },
        responses: {
          200: {
            description: 'A page, or every case a line',
            content: {
              'application/json': { schema: listSchema(caseSchema) },
              'application/x-ndjson': { schema: caseSchema },
            },
          },
          ...problems,
        },
      }),
      async (c) => {
        const { dataset, n } = c.req.valid('param');
        const key = { dataset, number: n };
        if (
          acceptedFormat(c, ['application/json', 'application/x-ndjson']) !== 'application/json'
        ) {
          return (await ndjson(exportCases(c.get('deps'), c.get('actor'), key))) as never;
        }
        const { limit, cursor } = c.req.valid('query');
        const query = { ...key, after: decodeCursor(cursor), limit: limit + 1 };
        const items = await pageOfCases(c.get('deps'), c.get('actor'), query);
        return c.json(page(items, { limit, keyOf: (item) => item.id, show: (i) => i }), 200);
      },
    );
}
