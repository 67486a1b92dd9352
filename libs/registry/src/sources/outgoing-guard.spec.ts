import type { DomainError } from '@sibyl/kernel';
import { addressFault } from './address-rules';
import { HostRules } from './host-rules';
import { OutgoingGuard, type Resolve } from './outgoing-guard';

const NONE = { privateNetworks: false, ranges: [] };
const PRIVATE = { privateNetworks: true, ranges: [] };

function refusalOf(list: readonly string[], url: string): string | undefined {
  try {
    new OutgoingGuard(HostRules.listed(list), '/source_uri').check(new URL(url));
    return undefined;
  } catch (error) {
    return (error as DomainError).faults?.[0]?.received;
  }
}

/** What a connection to a name learns of its addresses. */
function lookUp(list: readonly string[], name: string, addresses: readonly string[]): Promise<unknown> {
  const resolve: Resolve = () =>
    Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));
  const guard = new OutgoingGuard(HostRules.listed(list), '/source_uri', resolve);
  return new Promise((found, refused) => {
    guard.lookup(name, { all: true }, (error, all) => (error ? refused(error) : found(all)));
  });
}

describe('addresses', () => {
  it.each(['1.1.1.1', '93.184.215.14', '2606:4700:4700::1111', '::ffff:1.1.1.1'])('%s is open', (address) => {
    expect(addressFault(address, NONE)).toBeUndefined();
  });

  it.each([
    '127.0.0.1',
    '127.9.9.9',
    '10.0.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '::1',
    'fd12::1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
  ])('%s is of a private network, and open only where those are', (address) => {
    expect(addressFault(address, NONE)).toBe('an address of a private network');
    expect(addressFault(address, PRIVATE)).toBeUndefined();
  });

  it.each([
    '169.254.169.254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '169.254.170.2',
    '169.254.1.1',
    '100.100.100.200',
    '168.63.129.16',
    'fd00:ec2::254',
    '0.0.0.0',
    '0.1.2.3',
    '::',
    '224.0.0.1',
    '255.255.255.255',
    '240.0.0.1',
    '192.0.2.1',
    '198.18.0.1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '2002:7f00:1::',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '::7f00:1',
    '2001:db8::1',
    '64:ff9b:1::7f00:1',
    'fec0::1',
    '0177.0.0.1',
    '0x7f.1',
    '2130706433',
    '127.1',
    '',
    'localhost',
  ])('%s is closed everywhere', (address) => {
    expect(addressFault(address, PRIVATE)).toBeDefined();
  });
});

describe('the guard of what is sent out', () => {
  it('takes hosts that are named, at any port or at the one that is named', () => {
    expect(refusalOf(['files.example.com'], 'https://files.example.com/a/sibyl.json')).toBeUndefined();
    expect(refusalOf(['files.example.com'], 'https://FILES.example.com.:8443/a')).toBeUndefined();
    expect(refusalOf(['bücher.example'], 'http://xn--bcher-kva.example/')).toBeUndefined();
    expect(refusalOf(['files.example.com:8443'], 'https://files.example.com:8443/a')).toBeUndefined();
    expect(refusalOf(['files.example.com:443'], 'https://files.example.com/a')).toBeUndefined();
    expect(refusalOf(['127.0.0.1:9000'], 'http://127.0.0.1:9000/a')).toBeUndefined();
    expect(refusalOf(['[::1]:9000'], 'http://[::1]:9000/a')).toBeUndefined();
    expect(refusalOf(['127.0.0.1'], 'http://0x7f000001:80/')).toBeUndefined();
  });

  it.each([
    ['files.example.com:8443', 'https://files.example.com/'],
    ['files.example.com', 'https://evil.example.com/'],
    ['files.example.com', 'https://files.example.com.evil.org/'],
    ['files.example.com', 'https://xfiles.example.com/'],
    ['files.example.com', 'ftp://files.example.com/'],
    ['files.example.com', 'file://files.example.com/etc/passwd'],
    ['files.example.com', 'https://user:secret@files.example.com/'],
    ['127.0.0.1:9000', 'http://127.0.0.1:9001/'],
    ['127.0.0.1:9000', 'http://127.0.0.2:9000/'],
    ['10.0.0.0/8', 'http://10.1.2.3/'],
    ['', 'http://169.254.169.254/latest/meta-data'],
    ['', 'http://2852039166/'],
    ['', 'http://0251.0376.0251.0376/'],
    ['', 'http://[::ffff:a9fe:a9fe]/'],
  ])('refuses with %s in its list %s', (list, url) => {
    expect(refusalOf(list === '' ? [] : [list], url)).toBeDefined();
  });

  it('never says the credentials that it refuses', () => {
    expect(refusalOf(['a.example'], 'http://user:secret@a.example/')).toBe('credentials');
  });

  it('gives a connection the addresses that it has checked, all of them or none', async () => {
    await expect(lookUp(['a.example'], 'a.example', ['1.1.1.1', '2606:4700::1'])).resolves.toHaveLength(2);
    for (const closed of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1', 'fe80::1']) {
      await expect(lookUp(['a.example'], 'a.example', ['1.1.1.1', closed])).rejects.toMatchObject({
        code: 'invalid_parameter',
      });
    }
  });

  it('lets a name lead into a private network where the network is named, or where only such networks have the name', async () => {
    await expect(lookUp(['a.example', '10.0.0.0/8'], 'a.example', ['10.2.3.4'])).resolves.toHaveLength(1);
    await expect(lookUp(['a.example', '10.0.0.0/8'], 'a.example', ['192.168.0.1'])).rejects.toThrow();
    await expect(lookUp(['a.example', '127.0.0.1:9000'], 'a.example', ['127.0.0.1'])).rejects.toThrow();
    for (const name of ['localhost', 'minio', 'files.internal', 'minio.default.svc.cluster.local']) {
      await expect(lookUp([`${name}:9000`], name, ['172.18.0.3'])).resolves.toHaveLength(1);
      await expect(lookUp([`${name}:9000`], name, ['169.254.169.254'])).rejects.toThrow();
    }
  });

  it('keeps the metadata addresses closed in a network that is named, unless they are named themselves', async () => {
    for (const [network, address] of [
      ['100.64.0.0/10', '100.100.100.200'],
      ['169.254.0.0/16', '169.254.169.254'],
      ['fd00::/8', 'fd00:ec2::254'],
    ] as const) {
      await expect(lookUp(['a.example', network], 'a.example', [address])).rejects.toThrow();
      const itself = `${address}/${address.includes(':') ? 128 : 32}`;
      await expect(lookUp(['a.example', itself], 'a.example', [address])).resolves.toHaveLength(1);
    }
  });

  it('lets the endpoint of a setting be anywhere but where credentials of machines lie', async () => {
    const resolve: Resolve = () => Promise.resolve([{ address: '10.1.1.1', family: 4 }]);
    const guard = new OutgoingGuard(HostRules.endpoint(new URL('http://mlflow.corp.example:5000')), '/u', resolve);
    guard.check(new URL('http://mlflow.corp.example:5000/api'));
    expect(() => guard.check(new URL('http://mlflow.corp.example:5001/api'))).toThrow();
    expect(() => guard.check(new URL('http://other.corp.example:5000/api'))).toThrow();
    await expect(
      new Promise((found, refused) =>
        guard.lookup('mlflow.corp.example', {}, (error, address) => (error ? refused(error) : found(address))),
      ),
    ).resolves.toBe('10.1.1.1');
  });
});
