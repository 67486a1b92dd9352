import { addressBlock, cidrWithin, isCidr, Networks } from './networks';

describe('Networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.1.2', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['192.168.1.128/25', '192.168.1.127', false],
    ['192.168.1.128/25', '192.168.1.200', true],
    ['0.0.0.0/0', '8.8.8.8', true],
    ['0.0.0.0/0', '::1', false],
    ['10.0.0.0/8', '::ffff:10.1.1.1', true],
    ['10.0.0.0/8', '::ffff:a01:101', true],
    ['10.0.0.0/8', '::FFFF:11.1.1.1', false],
    ['::ffff:10.0.0.0/104', '10.1.1.1', true],
    ['::ffff:10.0.0.0/104', '11.1.1.1', false],
    ['2001:db8::/32', '2001:db8:ffff::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['2001:db8::/32', '10.0.0.1', false],
    ['::/0', '2001:db8::1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['::1', '::1', true],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6', true],
  ])('%s with %s: %s', (cidr, address, expected) => {
    expect(new Networks([cidr]).contains(address)).toBe(expected);
  });

  it('contain no address that cannot be read', () => {
    for (const address of ['', 'localhost', '10.0.0', '10.0.0.0/8', '010.0.0.1']) {
      expect(new Networks(['0.0.0.0/0', '::/0']).contains(address)).toBe(false);
    }
  });

  it('contain nobody through a network that cannot be read', () => {
    expect(new Networks(['nonsense']).contains('10.0.0.1')).toBe(false);
    expect(new Networks(['nonsense', '10.0.0.0/8']).contains('10.0.0.1')).toBe(true);
  });
});

describe('isCidr', () => {
  it('takes networks and addresses of both families', () => {
    for (const cidr of ['10.0.0.0/8', '10.0.0.1', '::/0', '2001:db8::/32', '::1', '1.2.3.4/32', '::ffff:1.2.3.4/128']) {
      expect(isCidr(cidr)).toBe(true);
    }
  });

  it('refuses everything else', () => {
    const wrong = [
      '',
      '/',
      '10.0.0.0/',
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/08',
      '10.0.0.0/8/8',
      '10.0.0/8',
      '::/129',
    ];
    for (const cidr of [...wrong, 'fe80::1%eth0/64', '::ffff:10.0.0.0/95', 'host/8', '10.0.0.0/8 ', '10.0.0.0/1e1']) {
      expect([cidr, isCidr(cidr)]).toEqual([cidr, false]);
    }
  });
});

describe('cidrWithin', () => {
  it.each([
    ['10.1.0.0/16', '10.0.0.0/8', true],
    ['10.0.0.0/8', '10.0.0.0/8', true],
    ['10.0.0.0/7', '10.0.0.0/8', false],
    ['11.0.0.0/16', '10.0.0.0/8', false],
    ['10.1.1.1', '10.0.0.0/8', true],
    ['2001:db8:1::/48', '2001:db8::/32', true],
    ['2001:db8::/31', '2001:db8::/32', false],
    ['::/0', '0.0.0.0/0', false],
    ['10.0.0.0/8', '::/0', false],
    ['::ffff:10.1.0.0/112', '10.0.0.0/8', true],
    ['nonsense', '0.0.0.0/0', false],
    ['10.0.0.0/8', 'nonsense', false],
  ])('%s within %s: %s', (inner, outer, expected) => {
    expect(cidrWithin(inner, outer)).toBe(expected);
  });
});

describe('addressBlock', () => {
  it('is the address in IPv4, however it is written', () => {
    expect(addressBlock('10.1.2.3')).toBe('10.1.2.3');
    expect(addressBlock('::ffff:10.1.2.3')).toBe('10.1.2.3');
    expect(addressBlock('::ffff:a01:203')).toBe('10.1.2.3');
  });

  it('is the /64 in IPv6', () => {
    expect(addressBlock('2001:db8:1:2:aaaa::1')).toBe(addressBlock('2001:db8:1:2:bbbb:1:2:3'));
    expect(addressBlock('2001:db8:1:2::1')).not.toBe(addressBlock('2001:db8:1:3::1'));
  });

  it('is a short text for whatever else comes', () => {
    expect(addressBlock('')).toBe('');
    expect(addressBlock('x'.repeat(10_000))).toHaveLength(64);
  });
});
