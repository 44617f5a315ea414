// Where a webhook may be sent to: public addresses, and what the deployment lists. Everything is
// judged after the URL was parsed, so that odd spellings of an address are one address.

import ipaddr from 'ipaddr.js';

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

/** CW_WEBHOOK_ALLOW: what is reached although it is not public, and without TLS too. */
export type AllowedAddresses = { names: string[]; ranges: Range[] };

const nameLabel = '[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?';
const nameForm = new RegExp(`^${nameLabel}(\\.${nameLabel})*$`);

/** Reads the variable: addresses, ranges and names. Throws a sentence naming it. */
export function readAllowedAddresses(text: string | undefined): AllowedAddresses {
  const allowed: AllowedAddresses = { names: [], ranges: [] };
  for (const one of (text ?? '').split(/[\s,]+/).filter((part) => part !== '')) {
    const range = rangeOf(one);
    if (range !== undefined) allowed.ranges.push(range);
    else if (nameForm.test(one) && !/^[\d.]+$/.test(one)) allowed.names.push(one);
    else {
      throw new Error(
        `CW_WEBHOOK_ALLOW: "${one}" is no address, range or name in lower case; give a list as "10.1.0.0/16, fd00::1, hooks.lab.internal"`,
      );
    }
  }
  return allowed;
}

function rangeOf(text: string): Range | undefined {
  const [address, bits, ...rest] = text.split('/');
  const parsed = parseAddress(address);
  if (parsed === undefined || rest.length > 0) return undefined;
  const most = parsed.kind() === 'ipv4' ? 32 : 128;
  if (bits === undefined) return [parsed, most];
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most ? [parsed, Number(bits)] : undefined;
}

// Four decimal parts or an IPv6 address: no octal, no short form.
function parseAddress(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}

const inRange = (address: ipaddr.IPv4 | ipaddr.IPv6, [base, bits]: Range) =>
  address.kind() === base.kind() && address.match(base, bits);

/** Global unicast; whatever carries an IPv4 address or is set aside lies outside, or is named. */
const globalUnicast: Range = [ipaddr.IPv6.parse('2000::'), 3];
/** Answers virtual machines of a large cloud about themselves, at a public address. */
const cloudPlatform: Range = [ipaddr.IPv4.parse('168.63.129.16'), 32];

/** What is wrong with sending to an address, or null. */
export function faultOfAddress(text: string, { ranges }: AllowedAddresses): string | null {
  const address = parseAddress(text);
  if (address === undefined) return 'is no address';
  if (ranges.some((range) => inRange(address, range))) return null;
  const outside = address.kind() === 'ipv6' && !inRange(address, globalUnicast);
  if (!outside && address.range() === 'unicast' && !inRange(address, cloudPlatform)) return null;
  return 'is not public; the deployment may allow it with CW_WEBHOOK_ALLOW';
}

/** The address that a host of a URL is, or undefined for a name. */
export function literalOf({ hostname }: URL): string | undefined {
  const text = hostname.replace(/^\[(.*)\]$/, '$1');
  return parseAddress(text) === undefined ? undefined : text;
}

/** Names that no public DNS answers. */
const privateName = /^[^.]+$|\.(localhost|local|localdomain|internal|home\.arpa|onion)$/;

/** Whether the deployment lists a URL's host, by name or by an address that stands in the URL. */
export function isListed(url: URL, allowed: AllowedAddresses): boolean {
  const literal = literalOf(url);
  if (literal === undefined) return allowed.names.includes(url.hostname);
  const address = ipaddr.parse(literal);
  return allowed.ranges.some((range) => inRange(address, range));
}

/** What is wrong with a URL as it stands, without asking a name server; or null. */
export function faultOfUrl(url: URL, allowed: AllowedAddresses): string | null {
  const listed = isListed(url, allowed);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && listed)) {
    return 'must start with https://; http is for hosts that the deployment lists in CW_WEBHOOK_ALLOW';
  }
  if (url.username !== '' || url.password !== '') {
    return 'must hold no user name or password; deliveries are signed instead';
  }
  if (url.hash !== '') return 'must have no part after "#": it would not be sent';
  if (url.hostname.endsWith('.')) return 'must name the host without a dot at its end';
  const literal = literalOf(url);
  const fault = literal === undefined ? null : faultOfAddress(literal, allowed);
  if (fault !== null) return `names the address ${literal}, which ${fault}`;
  if (literal === undefined && !listed && privateName.test(url.hostname)) {
    return `names the host ${url.hostname}, which is not public; the deployment may allow it with CW_WEBHOOK_ALLOW`;
  }
  return faultOfPort(url.port, listed);
}

// Below 1024 live mail, shells and files, which have no use for what is sent here.
function faultOfPort(port: string, listed: boolean): string | null {
  const number = port === '' ? 443 : Number(port);
  if (number === 443 || number >= 1024 || (listed && number > 0)) return null;
  return `names port ${number}; use 443, or one from 1024 on`;
}
