import { lookup as lookupName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { DomainError } from '@sibyl/kernel';
import { addressFault } from './address-rules';
import { plainHost, type HostRules } from './host-rules';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: number;
}

/** All addresses of a name. */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>;

const RESOLVE: Resolve = (host) => lookupName(host, { all: true, verbatim: true });

/**
 * The one guard of everything that is sent out. `check` looks at a URL before anything is asked of it, and `lookup` is how the
 * connection itself learns its addresses: those that were checked are those that are connected to, so a name cannot mean one
 * address when it is checked and another when it is used.
 */
export class OutgoingGuard {
  constructor(
    private readonly rules: HostRules,
    /** Where the URI stands in the request, for errors. */
    private readonly pointer = '/source_uri',
    private readonly resolve: Resolve = RESOLVE,
  ) {}

  /** Refuses other protocols, credentials in the URL, hosts that are not listed and addresses that are not open. */
  check(url: URL): void {
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw this.refusal('http: or https:', url.protocol);
    if (url.username !== '' || url.password !== '') throw this.refusal('a URL without credentials', 'credentials');
    const host = plainHost(url);
    if (!this.rules.allows(url)) throw this.refusal('a host that SIBYL_IMPORT_HOSTS names', url.host);
    if (isIP(host) !== 0) this.checkAddress(host, host);
  }

  /** For agents: called with each name that is about to be connected to. Addresses that are written as such never come here. */
  readonly lookup: LookupFunction = (name, options, callback) => {
    const host = name.replace(/\.$/, '');
    this.addresses(host).then(
      (found) => {
        const wanted = found.filter(({ family }) => !options.family || family === Number(options.family));
        const [first] = wanted;
        if (options.all === true) callback(null, [...wanted]);
        else if (first) callback(null, first.address, first.family);
        else callback(Object.assign(new Error('no address'), { code: 'ENOTFOUND' }), '');
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, ''),
    );
  };

  private async addresses(host: string): Promise<readonly ResolvedAddress[]> {
    const found = await this.resolve(host);
    // One closed address among open ones is a name that somebody plays with: nothing of it is used.
    for (const { address } of found) this.checkAddress(host, address);
    return found;
  }

  private checkAddress(host: string, address: string): void {
    const fault = addressFault(address, this.rules.addressesOf(host));
    if (fault !== undefined) throw this.refusal('a public address, or one that SIBYL_IMPORT_HOSTS names', fault);
  }

  private refusal(expected: string, received: string): DomainError {
    return new DomainError('invalid_parameter', 'Nothing may be fetched from this place.', {
      faults: [{ pointer: this.pointer, expected, received: received.slice(0, SHOWN) }],
    });
  }
}

const SHOWN = 100;
