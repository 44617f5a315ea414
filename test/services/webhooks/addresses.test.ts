// Where webhooks may be sent to: every spelling of what is not public is refused, before and after
// names are resolved.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  faultOfAddress,
  faultOfUrl,
  readAllowedAddresses,
} from '../../../api/services/webhooks/addresses.ts';
import { checkedAddresses } from '../../../api/services/webhooks/transport.ts';

const nothing = readAllowedAddresses(undefined);
const faultOf = (text: string, allowed = nothing) => faultOfUrl(new URL(text), allowed);

test.each([
  'https://hooks.example.org/in?key=1',
  'https://hooks.example.org:8443/',
  'https://93.184.215.14/in',
  'https://[2606:4700:4700::1111]/',
  'https://bücher.example/hooks',
])('%s may be sent to', (url) => {
  expect(faultOf(url)).toBeNull();
});

test.each([
  ['http://hooks.example.org/', 'must start with https://'],
  ['ftp://hooks.example.org/', 'must start with https://'],
  ['file:///etc/passwd', 'must start with https://'],
  ['https://ann:secret@hooks.example.org/', 'no user name'],
  ['https://ann@hooks.example.org/', 'no user name'],
  ['https://hooks.example.org/#part', 'after "#"'],
  ['https://hooks.example.org./', 'without a dot at its end'],
  ['https://hooks.example.org:0/', 'port 0'],
  ['https://hooks.example.org:25/', 'port 25'],
  ['https://hooks.example.org:80/', 'port 80'],
  ['https://localhost/', 'the host localhost'],
  ['https://LOCALHOST:9000/', 'the host localhost'],
  ['https://a.localhost/', 'the host a.localhost'],
  ['https://metadata.google.internal/', 'not public'],
  ['https://printer.local/', 'not public'],
  ['https://router.home.arpa/', 'not public'],
  ['https://receiver/', 'the host receiver'],
  ['https://127.0.0.1/', 'address 127.0.0.1'],
  ['https://127.1/', 'address 127.0.0.1'],
  ['https://127.0.0.1./', 'address 127.0.0.1'],
  ['https://2130706433/', 'address 127.0.0.1'],
  ['https://0x7f000001/', 'address 127.0.0.1'],
  ['https://0177.0.0.1/', 'address 127.0.0.1'],
  ['https://0x7f.0.0x0.1/', 'address 127.0.0.1'],
  ['https://%31%32%37.0.0.1/', 'address 127.0.0.1'],
  ['https://１２７.０.０.１/', 'address 127.0.0.1'],
  ['https://①②⑦.0.0.1/', 'address 127.0.0.1'],
  ['https://127。0。0。1/', 'address 127.0.0.1'],
  ['https://ⓛocalhost/', 'the host localhost'],
  ['https://[::1]/', 'address ::1'],
  ['https://[::]/', 'not public'],
  ['https://[::ffff:127.0.0.1]/', 'not public'],
  ['https://[::ffff:8.8.8.8]/', 'not public'],
  ['https://[::127.0.0.1]/', 'not public'],
  ['https://[64:ff9b::7f00:1]/', 'not public'],
  ['https://[64:ff9b:1::a00:1]/', 'not public'],
  ['https://[2002:7f00:1::]/', 'not public'],
  ['https://[2001:0:1::1]/', 'not public'],
  ['https://[fe80::1]/', 'not public'],
  ['https://[fec0::1]/', 'not public'],
  ['https://[fd00:ec2::254]/', 'not public'],
  ['https://[ff02::1]/', 'not public'],
  ['https://[2001:db8::1]/', 'not public'],
  ['https://0.0.0.0/', 'not public'],
  ['https://0/', 'not public'],
  ['https://10.1.2.3/', 'not public'],
  ['https://100.64.0.1/', 'not public'],
  ['https://100.100.100.200/', 'not public'],
  ['https://168.63.129.16/', 'not public'],
  ['https://169.254.169.254/latest/meta-data', 'not public'],
  ['https://172.31.255.255/', 'not public'],
  ['https://192.168.1.1/', 'not public'],
  ['https://192.0.0.192/', 'not public'],
  ['https://198.18.0.1/', 'not public'],
  ['https://224.0.0.1/', 'not public'],
  ['https://255.255.255.255/', 'not public'],
])('%s may not, because of %s', (url, words) => {
  expect(faultOf(url)).toContain(words);
});

describe('any address', () => {
  // The registry of special addresses as numbers, written down apart from the library's.
  const special: [number, number][] = (
    [
      ['0.0.0.0', 8],
      ['10.0.0.0', 8],
      ['100.64.0.0', 10],
      ['127.0.0.0', 8],
      ['169.254.0.0', 16],
      ['172.16.0.0', 12],
      ['192.0.0.0', 24],
      ['192.0.2.0', 24],
      ['192.168.0.0', 16],
      ['198.18.0.0', 15],
      ['198.51.100.0', 24],
      ['203.0.113.0', 24],
      ['224.0.0.0', 4],
      ['240.0.0.0', 4],
    ] as const
  ).map(([base, bits]) => [numberOf(base), 2 ** (32 - bits)]);
  const isSpecial = (n: number) => special.some(([from, size]) => n >= from && n < from + size);
  const inSpecial = fc
    .constantFrom(...special)
    .chain(([from, size]) => fc.nat(size - 1).map((more) => from + more));

  function numberOf(dotted: string): number {
    return dotted.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  }
  const dottedOf = (n: number) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.');

  test('of a special range is refused in every spelling that a URL may have', () => {
    const spellings = (n: number) => [
      dottedOf(n),
      String(n),
      `0x${n.toString(16)}`,
      `0${n.toString(8)}`,
      dottedOf(n).replace(/\d+/g, (part) => `0x${Number(part).toString(16)}`),
      dottedOf(n).replace(/\d+/g, (part) => `0${Number(part).toString(8)}`),
      `[::ffff:${dottedOf(n)}]`,
      `[64:ff9b::${dottedOf(n)}]`,
      `[2002:${(n >>> 16).toString(16)}:${(n & 65535).toString(16)}::]`,
    ];
    fc.assert(
      fc.property(inSpecial, (n) => {
        for (const host of spellings(n)) expect(faultOf(`https://${host}/`)).not.toBeNull();
      }),
    );
  });

  test('that is refused stands in a special range, of a relay, or of a cloud’s platform', () => {
    const relays = /^(192\.88\.99|192\.175\.48|192\.31\.196|192\.52\.193)\.|^168\.63\.129\.16$/;
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), (n) => {
        const dotted = dottedOf(n);
        const expected = isSpecial(n) || relays.test(dotted);
        expect([dotted, faultOfAddress(dotted, nothing) !== null]).toEqual([dotted, expected]);
      }),
      { numRuns: 2000 },
    );
  });

  test('of version 6 outside 2000::/3 is refused', () => {
    const groups = fc.array(fc.nat(65535), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, (parts) => {
        fc.pre(parts[0] >>> 13 !== 1);
        const text = parts.map((part) => part.toString(16)).join(':');
        expect(faultOfAddress(text, nothing)).toContain('not public');
      }),
    );
  });
});

describe('what the deployment lists', () => {
  const listed = readAllowedAddresses(
    '127.0.0.1, 10.1.0.0/16 fd00::/8,hooks.lab.internal receiver',
  );

  test.each([
    'http://127.0.0.1:9000/in',
    'http://10.1.255.255:80/',
    'https://10.1.0.1:25/',
    'http://[fd00::1]:8080/',
    'http://hooks.lab.internal/',
    'http://receiver:3000/',
  ])('%s may be sent to', (url) => {
    expect(faultOf(url, listed)).toBeNull();
  });

  test.each([
    'http://127.0.0.2/',
    'http://10.2.0.0/',
    'https://[::ffff:127.0.0.1]/',
    'https://sub.hooks.lab.internal/',
    'http://hooks.example.org/',
    'http://receiver:0/',
    'http://ann:x@receiver:3000/',
  ])('%s still may not', (url) => {
    expect(faultOf(url, listed)).not.toBeNull();
  });

  test.each(['10.0.0.0/33', '10.0.0/8', '1.2.3', 'https://x', '::1/129', 'a..b', 'UPPER', '-x'])(
    '%s cannot be listed, and the sentence names the variable',
    (text) => {
      expect(() => readAllowedAddresses(text)).toThrow(`CW_WEBHOOK_ALLOW: "${text}"`);
    },
  );
});

describe('a name', () => {
  const url = new URL('https://hooks.example.org/');
  const resolvedTo = (...found: string[]) => ({ allowed: nothing, resolve: async () => found });
  const words = async (answer: Promise<unknown>) =>
    await answer.then(
      () => 'not refused',
      (error) => error.detail,
    );

  test('leads to the addresses that were checked', async () => {
    const found = ['93.184.215.14', '2606:2800:21f::1'];
    expect(await checkedAddresses(resolvedTo(...found), url)).toEqual(found);
  });

  test('of which one address is private is refused, and the address is not told', async () => {
    const detail = await words(checkedAddresses(resolvedTo('93.184.215.14', '10.1.2.3'), url));
    expect(detail).toContain('hooks.example.org, whose address is not public');
    expect(detail).not.toContain('10.1.2.3');
  });

  test.each(['127.0.0.1', '::ffff:10.0.0.1', 'fe80::1%eth0', '::1', 'nonsense'])(
    'that resolves to %s is refused',
    async (address) => {
      expect(await words(checkedAddresses(resolvedTo(address), url))).toContain('whose address is');
    },
  );

  test('that is listed may be private; one that leads into a listed range, too', async () => {
    const allowed = readAllowedAddresses('hooks.example.org, 10.1.0.0/16');
    const resolve = async (name: string) => [name === url.hostname ? '172.16.0.1' : '10.1.0.9'];
    expect(await checkedAddresses({ allowed, resolve }, url)).toEqual(['172.16.0.1']);
    const other = new URL('https://other.example.org/');
    expect(await checkedAddresses({ allowed, resolve }, other)).toEqual(['10.1.0.9']);
  });

  test('without an address, and one that nobody knows, are refused', async () => {
    expect(await words(checkedAddresses(resolvedTo(), url))).toContain('has no address');
    const resolve = async (): Promise<string[]> => {
      throw new Error('there is no such name');
    };
    const asked = checkedAddresses({ allowed: nothing, resolve }, url);
    expect(await words(asked)).toContain('was not found: there is no such name');
  });
});
