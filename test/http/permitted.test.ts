// The parts of a path as a rule of sessions reads them: just as the route itself does, whatever is
// encoded, or a session would be asked about one thing and given another.

import fc from 'fast-check';
import { Hono } from 'hono';
import { expect, test } from 'vitest';
import type { Actor, Deps } from '../../api/deps.ts';
import type { Env } from '../../api/http/context.ts';
import { paramsOf, permitted } from '../../api/http/permitted.ts';

const route = '/v1/snapshots/:a/diff/:b';
const app = new Hono<Env>({ strict: false });
let asked: Record<string, string> | undefined;
app.use('*', async (c, next) => {
  c.set('deps', {} as Deps);
  c.set('actor', {} as Actor);
  await next();
});
app.use(
  '*',
  permitted(async (_deps, _actor, { params }) => {
    asked = params;
  }),
);
app.get(route, (c) => c.json(c.req.param()));

const odd = fc.constantFrom('%2F', '%40', '%25', '%252F', '%3a', '@', ':', '%C3%B6', 'ö', '+', '.');
const part = fc
  .array(fc.oneof(odd, fc.stringMatching(/^[a-z0-9]$/)), { minLength: 1, maxLength: 6 })
  .map((pieces) => pieces.join(''))
  .filter((text) => text !== '.' && text !== '..');

test('the rule and the route read the same', async () => {
  await fc.assert(
    fc.asyncProperty(part, part, async (a, b) => {
      asked = undefined;
      const response = await app.request(`/v1/snapshots/${a}/diff/${b}`);
      expect(response.status).toBe(200);
      expect(asked).toEqual(await response.json());
    }),
  );
});

test('a path that is not percent-encoded is refused', () => {
  expect(paramsOf('GET /v1/jobs/{id}', '/v1/jobs/a%2Fb/')).toEqual({ id: 'a/b' });
  expect(() => paramsOf('GET /v1/jobs/{id}', '/v1/jobs/%E0%A4%A')).toThrow('percent-encoded');
});
