// From which address a request comes. A header that anybody can write is believed only as far as
// proxies of the deployment have written it.

import ipaddr from 'ipaddr.js';

type Network = ReturnType<typeof ipaddr.parseCIDR>;

/** A proxy cannot have had more of these before it. */
const mostHops = 20;

/** Reads `10.0.0.0/8, ::1`; throws an Error that names what is no address. */
export function readNetworks(text: string | undefined): Network[] {
  const parts = (text ?? '').split(',').map((part) => part.trim());
  return parts
    .filter((part) => part !== '')
    .map((part) => {
      try {
        if (part.includes('/')) return ipaddr.parseCIDR(part);
        const address = ipaddr.parse(part);
        return [address, address.kind() === 'ipv4' ? 32 : 128];
      } catch (cause) {
        const wanted = 'is a list of addresses or networks, as 10.0.0.0/8';
        throw new Error(`CW_TRUSTED_PROXIES ${wanted}, not "${part}"`, { cause });
      }
    });
}

/**
 * The last address before the proxies that are trusted, as a key: an IPv6 address by its /64, which
 * one customer has. `forwarded` is the header X-Forwarded-For.
 */
export function clientAddress({
  peer,
  forwarded,
  trusted,
}: {
  peer: string;
  forwarded: string | undefined;
  trusted: Network[];
}): string {
  const hops = [...(forwarded ?? '').split(','), peer].map((hop) => hop.trim()).slice(-mostHops);
  let last = peer;
  for (const hop of hops.toReversed()) {
    if (!ipaddr.isValid(hop)) break;
    last = hop;
    if (!isWithin(hop, trusted)) break;
  }
  return keyOf(last);
}

function isWithin(text: string, networks: Network[]): boolean {
  const address = ipaddr.process(text);
  return networks.some(
    (network) => network[0].kind() === address.kind() && address.match(network as never),
  );
}

/** What an address is counted as; a text that is none stands for itself. */
export function keyOf(text: string): string {
  if (!ipaddr.isValid(text)) return text;
  const address = ipaddr.process(text);
  if (address.kind() === 'ipv4') return address.toString();
  const parts = (address as ipaddr.IPv6).parts.slice(0, 4).map((part) => part.toString(16));
  return `${parts.join(':')}::/64`;
}
