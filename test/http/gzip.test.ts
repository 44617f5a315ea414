// Who gets a zipped answer.

import { expect, test } from 'vitest';
import { takesGzip } from '../../api/http/gzip.ts';

test.each(['gzip', 'deflate, gzip;q=0.5', 'br;q=1, GZIP ; q=0.01'])('"%s" takes gzip', (header) => {
  expect(takesGzip(header)).toBe(true);
});

test.each([undefined, '', 'identity', 'br, x-gzip-like', 'gzip;q=0', 'identity, gzip; q=0.000'])(
  '"%s" takes none',
  (header) => {
    expect(takesGzip(header)).toBe(false);
  },
);
