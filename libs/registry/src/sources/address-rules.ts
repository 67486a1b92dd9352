import ipaddr from 'ipaddr.js';

type Address = ReturnType<typeof ipaddr.process>;
type Range = readonly [Address, number];

/** Where cloud machines keep their credentials, wherever the range around it would be allowed. */
const METADATA: readonly string[] = [
  '169.254.169.254',
  '169.254.170.2',
  '168.63.129.16',
  '100.100.100.200',
  '192.0.0.192',
  'fd00:ec2::254',
  'fd20:ce::254',
];

/** Ranges of networks that somebody runs for themselves: a package may lie there, if the operator says so. */
const PRIVATE: ReadonlySet<string> = new Set(['private', 'loopback', 'carrierGradeNat', 'uniqueLocal']);

/** What an operator has said of the addresses of a host. */
export interface AddressPermission {
  /** The host may have addresses of private networks. */
  readonly privateNetworks: boolean;
  /** Addresses and networks that were named as such. */
  readonly ranges: readonly AddressRange[];
}

/** An address, or a network as `10.0.0.0/8`. */
export class AddressRange {
  private constructor(private readonly range: Range) {}

  static of(network: string): AddressRange {
    return new AddressRange(ipaddr.parseCIDR(network));
  }

  /** Undefined for what is neither. */
  static parse(text: string): AddressRange | undefined {
    const bare = text.replace(/^\[|\]$/g, '');
    if (/^[^/]+\/\d{1,3}$/.test(bare) && ipaddr.isValidCIDR(bare)) return new AddressRange(ipaddr.parseCIDR(bare));
    const address = parsed(bare);
    return address && new AddressRange([address, address.kind() === 'ipv4' ? 32 : 128]);
  }

  /** One address, named as such. */
  get single(): boolean {
    const [base, bits] = this.range;
    return bits === (base.kind() === 'ipv4' ? 32 : 128);
  }

  contains(address: Address): boolean {
    const [base, bits] = this.range;
    return base.kind() === address.kind() && address.match(base as never, bits as never);
  }
}

/**
 * Why nothing may be sent to an address; undefined where it may. Only ordinary public addresses are open to all: everything that
 * ipaddr.js knows a special purpose of is closed, IPv4 written as IPv6 (mapped, NAT64, 6to4, Teredo) included.
 */
export function addressFault(text: string, { privateNetworks, ranges }: AddressPermission): string | undefined {
  const address = parsed(text);
  if (address === undefined) return 'no address';
  const named = ranges.filter((range) => range.contains(address));
  if (METADATA.some((known) => ipaddr.process(known).toNormalizedString() === address.toNormalizedString()))
    return named.some((range) => range.single) ? undefined : 'the metadata address of a cloud machine';
  if (named.length > 0) return undefined;
  const range = address.kind() === 'ipv6' && !GLOBAL.contains(address) ? closedRange(address) : address.range();
  if (range === 'unicast') return undefined;
  if (PRIVATE.has(range)) return privateNetworks ? undefined : 'an address of a private network';
  return `an address of special purpose (${range})`;
}

/** Of IPv6 only this has public addresses; what is reserved, or IPv4 in an old spelling, lies around it. */
const GLOBAL = AddressRange.of('2000::/3');

function closedRange(address: Address): string {
  const range = address.range();
  return range === 'unicast' ? 'reserved' : range;
}

/** An IPv4 address written as mapped IPv6 is that IPv4 address. Zones name an interface of this machine and are refused. */
function parsed(text: string): Address | undefined {
  if (text.includes('%') || !(ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text))) return undefined;
  return ipaddr.process(text);
}
