import { credentialOf } from './credential';

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

describe('credentialOf', () => {
  it('reads the three ways that a key may arrive', () => {
    expect(credentialOf({ 'x-api-key': 'K' })).toBe('K');
    expect(credentialOf({ authorization: 'Bearer K' })).toBe('K');
    expect(credentialOf({ authorization: basic('anyone', 'K') })).toBe('K');
    expect(credentialOf({ authorization: basic('', 'K') })).toBe('K');
  });

  it('takes schemes in any case and with more than one space', () => {
    expect(credentialOf({ authorization: 'bearer K' })).toBe('K');
    expect(credentialOf({ authorization: 'BEARER   K' })).toBe('K');
    expect(credentialOf({ authorization: basic('u', 'K').replace('Basic', 'bAsIc') })).toBe('K');
  });

  it('prefers X-API-Key', () => {
    expect(credentialOf({ 'x-api-key': 'A', authorization: 'Bearer B' })).toBe('A');
    expect(credentialOf({ 'x-api-key': '', authorization: 'Bearer B' })).toBe('B');
  });

  it('keeps colons that belong to the password', () => {
    expect(credentialOf({ authorization: basic('u', 'a:b') })).toBe('a:b');
  });

  it('finds nothing where there is nothing', () => {
    const none = [
      'Bearer',
      'Bearer ',
      'K',
      'Digest K',
      'Basic !!!',
      basic('K', ''),
      `Basic ${Buffer.from('K').toString('base64')}`,
      '',
    ];
    for (const authorization of none) expect(credentialOf({ authorization })).toBeUndefined();
    expect(credentialOf({})).toBeUndefined();
    expect(credentialOf({ authorization: ['Bearer A', 'Bearer B'] })).toBeUndefined();
  });

  it('makes of a repeated header something that is no key', () => {
    expect(credentialOf({ 'x-api-key': ['A', 'B'] })).toBe('A, B');
  });
});
