// Which addresses are taken for this machine's own.

import { expect, test } from 'vitest';
import { isLoopback } from '../../api/launchers/loopback.ts';

test.each([
  ['http://localhost:8787', true],
  ['https://LOCALHOST/v1', true],
  ['http://127.0.0.1:6820', true],
  ['http://127.8.9.10', true],
  ['http://127.1', true],
  ['http://[::1]:8787/', true],
  ['http://localhost.example.org', false],
  ['http://127.0.0.1.example.org', false],
  ['http://127.example.org', false],
  ['http://user@localhost:1@example.org', false],
  ['http://[::1:2]', false],
  ['http://10.0.0.1', false],
  ['https://weights.example.org/localhost', false],
  ['localhost', false],
  ['', false],
])('%s: %s', (url, expected) => {
  expect(isLoopback(url)).toBe(expected);
});
