// From where a request comes: headers are believed as far as trusted proxies wrote them.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clientAddress, keyOf, readNetworks } from '../../api/http/client-address.ts';

const trusted = readNetworks('10.0.0.0/8, 2001:db8:1::/48, 127.0.0.1');
const from = (peer: string, forwarded?: string) => clientAddress({ peer, forwarded, trusted });

describe('the client', () => {
  test.each([
    ['is the peer, without a proxy', '192.0.2.7', undefined, '192.0.2.7'],
    ['is the peer, whatever a stranger writes', '192.0.2.7', '198.51.100.1', '192.0.2.7'],
    ['is the last one before a trusted proxy', '10.1.2.3', '203.0.113.9, 192.0.2.7', '192.0.2.7'],
    ['is before all trusted proxies', '127.0.0.1', '6.6.6.6, 192.0.2.7, 10.0.0.1', '192.0.2.7'],
    ['is the proxy where it says nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['is the proxy where it says nonsense', '10.1.2.3', 'unknown', '10.1.2.3'],
    ['is of IPv4 in the clothes of IPv6', '::ffff:192.0.2.7', undefined, '192.0.2.7'],
    ['is a network of IPv6', '2001:db8:2:3:4::5', undefined, '2001:db8:2:3::/64'],
  ])('%s', (_, peer, forwarded, expected) => {
    expect(from(peer, forwarded)).toBe(expected);
  });

  test('is never what an untrusted peer chose', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (header) => {
        expect(from('192.0.2.7', header)).toBe('192.0.2.7');
      }),
    );
  });
});

test('a text that is no address stands for itself', () => {
  expect(keyOf('unknown')).toBe('unknown');
});

test.each(['10.0.0.0/33', 'proxy', '10.0.0.0.1'])(
  '%s in CW_TRUSTED_PROXIES stops the start',
  (text) => {
    expect(() => readNetworks(text)).toThrow(`CW_TRUSTED_PROXIES is a list`);
  },
);
