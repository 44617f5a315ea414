// Which callers' traces a request goes on in, and which request ids are taken over.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { traceIdOf } from '../../api/http/traces.ts';
import { openTestApp } from '../support/app.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

test.each([
  `00-${traceId}-${spanId}-01`,
  `00-${traceId}-${spanId}-00`,
  `cc-${traceId}-${spanId}-01`,
  `cc-${traceId}-${spanId}-01-what-the-future-says`,
])('%s names a trace', (header) => {
  expect(traceIdOf(header)).toBe(traceId);
});

test.each([
  undefined,
  '',
  traceId,
  `00-${traceId}-${spanId}`,
  `00-${traceId}-${spanId}-01-more`,
  `ff-${traceId}-${spanId}-01`,
  `00-${traceId.toUpperCase()}-${spanId}-01`,
  `00-${'0'.repeat(32)}-${spanId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  `00-${traceId}-${spanId}-01\n`,
  ` 00-${traceId}-${spanId}-01`,
  `cc-${traceId}-${spanId}-01-${'x'.repeat(500)}`,
])('%j names none', (header) => {
  expect(traceIdOf(header)).toBeUndefined();
});

test('whatever a header says, what is taken from it is 32 hexadecimal digits', () => {
  const part = fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f]{2,40}$/));
  fc.assert(
    fc.property(fc.array(part, { maxLength: 5 }), (parts) => {
      expect(traceIdOf(parts.join('-')) ?? traceId).toMatch(/^[0-9a-f]{32}$/);
    }),
  );
});

test('an answer says its request id and its trace, those of the caller where they are safe', async () => {
  const { app, database } = await openTestApp();
  const asked = async (headers: Record<string, string>) => {
    const response = await app.request('/nothing', { headers });
    const body = (await response.json()) as { requestId: string; traceId: string };
    expect(response.headers.get('x-request-id')).toBe(body.requestId);
    return body;
  };
  const traceparent = `00-${traceId}-${spanId}-01`;
  expect(await asked({ traceparent, 'x-request-id': 'caller-7' })).toMatchObject({
    requestId: 'caller-7',
    traceId,
  });
  const [one, other] = [await asked({}), await asked({})];
  expect(one.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(one.traceId).not.toBe(other.traceId);
  expect(one.requestId).not.toBe(other.requestId);
  for (const unsafe of ['a b', 'a"}', 'x'.repeat(129), 'ä', '<script>']) {
    expect((await asked({ 'x-request-id': unsafe })).requestId).not.toBe(unsafe);
  }
  await database.close();
});
