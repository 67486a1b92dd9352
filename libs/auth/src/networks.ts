import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** An address as its family and bytes; an IPv4 address written as IPv6 (`::ffff:…`) is one of IPv4. */
interface Address {
  readonly family: 4 | 6;
  readonly bytes: readonly number[];
}

interface Network extends Address {
  readonly prefixBits: number;
}

const MAPPED_BITS = 96;

/** Whether `text` is a network in CIDR notation, or one address. */
export function isCidr(text: string): boolean {
  return parseNetwork(text) !== undefined;
}

/** Whether every address of `inner` lies in `outer`; false where either is not a network. */
export function cidrWithin(inner: string, outer: string): boolean {
  const small = parseNetwork(inner);
  const large = parseNetwork(outer);
  if (!small || !large || small.family !== large.family || small.prefixBits < large.prefixBits) return false;
  for (let bit = 0; bit < large.prefixBits; bit++) {
    if (bitOf(small.bytes, bit) !== bitOf(large.bytes, bit)) return false;
  }
  return true;
}

/** The networks that a key may be used from. */
export class Networks {
  private readonly list = new BlockList();

  constructor(cidrs: readonly string[]) {
    for (const cidr of cidrs) {
      const network = parseNetwork(cidr);
      // One that cannot be read allows nobody, which is the safe side.
      if (network) this.list.addSubnet(addressText(network), network.prefixBits, familyName(network));
    }
  }

  contains(address: string): boolean {
    const parsed = parseAddress(address);
    return parsed !== undefined && this.list.check(addressText(parsed), familyName(parsed));
  }
}

/** What failures of an address are counted under: the address, or of IPv6 the /64, which one host may own in full. */
export function addressBlock(address: string): string {
  const parsed = parseAddress(address);
  if (!parsed) return address.slice(0, 64);
  return parsed.family === 4 ? parsed.bytes.join('.') : `${Buffer.from(parsed.bytes.slice(0, 8)).toString('hex')}::/64`;
}

function parseNetwork(text: string): Network | undefined {
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const address = host.includes('%') ? undefined : parseAddress(host);
  if (!address) return undefined;
  // `::ffff:10.0.0.0/104` is 10.0.0.0/8.
  const skipped = address.family === 4 && host.includes(':') ? MAPPED_BITS : 0;
  const most = address.family === 4 ? 32 : 128;
  if (slash < 0) return { ...address, prefixBits: most };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits)) return undefined;
  const prefixBits = Number(digits) - skipped;
  return prefixBits < 0 || prefixBits > most ? undefined : { ...address, prefixBits };
}

function parseAddress(text: string): Address | undefined {
  const zone = text.indexOf('%');
  const plain = zone < 0 ? text : text.slice(0, zone);
  if (isIPv4(plain)) return { family: 4, bytes: plain.split('.').map(Number) };
  if (!isIPv6(plain)) return undefined;
  const bytes = parseIpv6(plain);
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? { family: 4, bytes: bytes.slice(12) } : { family: 6, bytes };
}

/** The 16 bytes of a text that `isIPv6` has accepted. */
function parseIpv6(text: string): number[] {
  const [head = '', tail] = text.split('::');
  const front = groupBytes(head);
  if (tail === undefined) return front;
  const back = groupBytes(tail);
  return [...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back];
}

function groupBytes(groups: string): number[] {
  if (groups === '') return [];
  return groups.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function addressText(address: Address): string {
  if (address.family === 4) return address.bytes.join('.');
  return Array.from({ length: 8 }, (_, i) =>
    (((address.bytes[2 * i] ?? 0) << 8) | (address.bytes[2 * i + 1] ?? 0)).toString(16),
  ).join(':');
}

function familyName(address: Address): 'ipv4' | 'ipv6' {
  return address.family === 4 ? 'ipv4' : 'ipv6';
}

function bitOf(bytes: readonly number[], bit: number): number {
  return ((bytes[bit >> 3] ?? 0) >> (7 - (bit & 7))) & 1;
}
