// Scores of a fold's validation, in nnU-Net's own format.

import { createRoute } from '@hono/zod-openapi';
import { attributeNameSchema } from '../contract/attributes.ts';
import {
  scoresAnswerSchema,
  scoresQuerySchema,
  summaryLimits,
  summarySchema,
} from '../contract/scores.ts';
import { ProblemError } from '../errors.ts';
import { faultsOf } from '../http/problem.ts';
import { pythonJson } from '../http/python-json.ts';
import { json, problems } from '../http/responses.ts';
import { router } from '../http/router.ts';
import { bodyText } from '../http/streams.ts';
import { putScores } from '../services/scores.ts';
import { versionParam } from './versions.ts';

export function scoreRoutes() {
  return router().openapi(
    createRoute({
      method: 'put',
      path: '/v1/datasets/{dataset}/versions/{n}/scores/{attribute}',
      tags: ['versions'],
      summary: "Put the scores of a fold: nnU-Net's validation summary.json as it is",
      description: `The body is the file, gzip or not, at most ${summaryLimits.bytes} bytes when unzipped; bare NaN is read. The mean foreground Dice of each case becomes a value of the attribute, which is declared here where it is missing. Cases of the validation side without a Dice lose their value.`,
      request: {
        params: versionParam.extend({ attribute: attributeNameSchema }),
        query: scoresQuerySchema,
      },
      responses: {
        200: json(scoresAnswerSchema, 'What was stored, and what is missing'),
        ...problems,
      },
    }),
    async (c) => {
      const { dataset, n, attribute } = c.req.valid('param');
      const text = await bodyText(c, summaryLimits.bytes);
      const summary = summaryOf(text);
      const input = { dataset, number: n, attribute, ...c.req.valid('query'), summary, text };
      return c.json(await putScores(c.get('deps'), c.get('actor'), input), 200);
    },
  );
}

function summaryOf(text: string) {
  const read = summarySchema.safeParse(pythonJson(text));
  if (read.success) return read.data;
  const errors = faultsOf(read.error.issues).slice(0, summaryLimits.faults);
  throw new ProblemError(
    'unprocessable',
    `This is not nnU-Net's summary.json: ${errors[0].pointer || 'the document'}: ${errors[0].detail}.`,
    { errors },
  );
}
