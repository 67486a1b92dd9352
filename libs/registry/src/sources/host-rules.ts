import { isIP } from 'node:net';
import { AddressRange, type AddressPermission } from './address-rules';

/** Names that only private networks give: they may lead into one. */
const PRIVATE_NAME = /^[^.]+$|\.(?:internal|local|localhost|home\.arpa)$/;
const ENTRY = /^(\[[0-9A-Fa-f:.]+\]|[^:/@?#\s]+)(?::(\d{1,5}))?$/;

interface Entry {
  readonly host: string;
  /** Absent: any. */
  readonly port?: number;
  readonly privateNetworks: boolean;
}

/** To which hosts something may be sent, and which addresses they may have. */
export class HostRules {
  private constructor(
    private readonly entries: readonly Entry[],
    private readonly ranges: readonly AddressRange[],
  ) {}

  /**
   * An operator's list of `host[:port]`, where the host may be an address, and of networks as `10.0.0.0/8`. A name may lead to a
   * private address where the list has its network, or where only private networks have such a name, as `minio` or
   * `files.internal`. An address in the list is no permission for names that lead to it: its port would be lost on the way.
   */
  static listed(texts: readonly string[]): HostRules {
    const entries: Entry[] = [];
    const ranges: AddressRange[] = [];
    for (const text of texts) {
      const [, name = '', port] = ENTRY.exec(text) ?? [];
      const network = name === '' ? AddressRange.parse(text) : undefined;
      if (network) ranges.push(network);
      const host = name === '' ? undefined : hostOf(name);
      if (host === undefined) continue;
      const privateNetworks = isIP(host) === 0 && PRIVATE_NAME.test(host);
      entries.push({ host, privateNetworks, ...(port === undefined ? {} : { port: Number(port) }) });
    }
    return new HostRules(entries, ranges);
  }

  /** One place that the operator has configured by its URL, wherever it is. */
  static endpoint(url: URL): HostRules {
    return new HostRules([{ host: plainHost(url), port: portOf(url), privateNetworks: true }], []);
  }

  /** Hosts that a library makes of an operator's settings: any, at public addresses. */
  static readonly PUBLIC = new HostRules([], []);

  allows(url: URL): boolean {
    if (this === HostRules.PUBLIC) return true;
    const host = plainHost(url);
    const port = portOf(url);
    return this.entries.some((entry) => entry.host === host && (entry.port === undefined || entry.port === port));
  }

  addressesOf(host: string): AddressPermission {
    const named = this.entries.filter((entry) => entry.host === host);
    const itself = named.length > 0 && isIP(host) !== 0 ? AddressRange.parse(host) : undefined;
    return {
      privateNetworks: named.some((entry) => entry.privateNetworks),
      ranges: itself ? [itself, ...this.ranges] : this.ranges,
    };
  }
}

/** The host of a URL as names are compared: no brackets, no dot at the end. The URL class has read every other spelling. */
export function plainHost(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
}

function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
}

function hostOf(name: string): string | undefined {
  return URL.canParse(`http://${name}/`) ? plainHost(new URL(`http://${name}/`)) : undefined;
}
