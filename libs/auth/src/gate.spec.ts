import { randomBytes } from 'node:crypto';
import { FakeClock } from '@sibyl/kernel/testing';
import { DomainError, type ErrorCode } from '@sibyl/kernel';
import { Gate } from './gate';
import { newKeyText } from './key-text';
import { Door } from './testing';

const ADDRESS = '192.0.2.7';

function refusal(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

function codeOf(door: Door<FakeClock>, text: string | undefined, address = ADDRESS): ErrorCode {
  return refusal(() => door.gate.authenticate(text, address)).code;
}

/** The same key with the secret of another, and a checksum that fits. */
function withOtherSecret(text: string): string {
  const prefix = text.slice(3, 15);
  for (;;) {
    let zeros = 12;
    const other = newKeyText((bytes) => {
      // The first bytes that are asked for become the prefix.
      const wanted = zeros > 0 ? Uint8Array.from(prefix, (letter) => indexOf(letter)) : undefined;
      zeros = 0;
      return wanted ? Buffer.concat([wanted, randomBytes(Math.max(0, bytes - wanted.length))]) : randomBytes(bytes);
    });
    if (other !== text) return other;
  }
}

function indexOf(letter: string): number {
  return '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'.indexOf(letter);
}

describe('Gate.authenticate', () => {
  let door: Door<FakeClock>;

  beforeEach(() => {
    door = new Door(new FakeClock());
  });

  it('recognises the holder of a key, with one object for all requests', () => {
    const text = door.add({ name: 'desk', owner: 'trading', role: 'team' });
    const principal = door.gate.authenticate(text, ADDRESS);
    expect(principal).toMatchObject({
      keyId: 'key-1',
      prefix: text.slice(3, 15),
      name: 'desk',
      owner: 'trading',
      role: 'team',
      actor: { type: 'key', id: 'key-1', keyId: 'key-1', name: 'desk' },
    });
    expect(door.gate.authenticate(text, ADDRESS)).toBe(principal);
    expect(Object.isFrozen(principal)).toBe(true);
  });

  it('refuses each fault with its own code', () => {
    const past = door.clock.now();
    expect(codeOf(door, undefined)).toBe('key_missing');
    expect(codeOf(door, '')).toBe('key_missing');
    expect(codeOf(door, 'sk_nonsense')).toBe('key_malformed');
    expect(codeOf(door, newKeyText())).toBe('key_unknown');
    expect(codeOf(door, withOtherSecret(door.add()))).toBe('key_unknown');
    expect(codeOf(door, door.add({ revokedAtMs: past }))).toBe('key_revoked');
    expect(codeOf(door, door.add({ expiresAtMs: past }))).toBe('key_expired');
    expect(codeOf(door, door.add({}, past))).toBe('key_expired');
    expect(codeOf(door, door.add({ cidrs: ['10.0.0.0/8'] }))).toBe('address_forbidden');
  });

  it('checks in the order checksum, secret, revoked, expired, address: nobody learns of a key without its secret', () => {
    const past = door.clock.now();
    const everything = { revokedAtMs: past, expiresAtMs: past, cidrs: ['10.0.0.0/8'] };
    const text = door.add(everything);
    expect(codeOf(door, text.slice(0, -1) + (text.endsWith('0') ? '1' : '0'))).toBe('key_malformed');
    expect(codeOf(door, withOtherSecret(text))).toBe('key_unknown');
    expect(codeOf(door, text)).toBe('key_revoked');
    expect(codeOf(door, door.add({ expiresAtMs: past, cidrs: ['10.0.0.0/8'] }))).toBe('key_expired');
    expect(codeOf(door, door.add({ cidrs: ['10.0.0.0/8'], scopes: [] }))).toBe('address_forbidden');
  });

  it('answers an unknown id and a wrong secret with the same words', () => {
    const wrong = withOtherSecret(door.add());
    const [unknown, mistaken] = [newKeyText(), wrong].map((text) =>
      refusal(() => door.gate.authenticate(text, ADDRESS)),
    );
    expect(unknown).toMatchObject({ code: 'key_unknown' });
    for (const part of ['name', 'code', 'detail', 'faults', 'retryAfterSeconds', 'cause'] as const) {
      expect(mistaken?.[part]).toEqual(unknown?.[part]);
    }
  });

  it('refuses malformed keys without looking anything up', () => {
    const lookUp = jest.spyOn(door.snapshot, 'secret');
    for (const text of ['x', 'sk_', `${door.add()}x`, 'sk_'.repeat(30_000)])
      expect(codeOf(door, text)).toBe('key_malformed');
    expect(lookUp).not.toHaveBeenCalled();
  });

  it('never repeats the key in what it says', () => {
    const text = newKeyText();
    for (const credential of [text, `${text}x`]) {
      expect(JSON.stringify(refusal(() => door.gate.authenticate(credential, ADDRESS)))).not.toContain(
        text.slice(16, 30),
      );
    }
  });

  it('lets keys in from their networks only, in both ways to write an address', () => {
    const text = door.add({ cidrs: ['192.0.2.0/24', '2001:db8::/32'] });
    for (const address of ['192.0.2.9', '::ffff:192.0.2.9', '2001:db8::9']) {
      expect(door.gate.authenticate(text, address).keyId).toBe('key-1');
    }
    for (const address of ['192.0.3.9', '::ffff:192.0.3.9', '2001:db9::9', '']) {
      expect(codeOf(door, text, address)).toBe('address_forbidden');
    }
  });

  it('ends keys at their time, to the millisecond', () => {
    const text = door.add({ expiresAtMs: door.clock.now() + 1_000 });
    door.clock.advance(999);
    expect(door.gate.authenticate(text, ADDRESS).keyId).toBe('key-1');
    door.clock.advance(1);
    expect(codeOf(door, text)).toBe('key_expired');
  });

  it('remembers when a key was last used, and not when it was refused', () => {
    const text = door.add();
    expect(door.usage.lastUsedMs('key-1')).toBeUndefined();
    codeOf(door, withOtherSecret(text));
    codeOf(door, door.add({ cidrs: ['10.0.0.0/8'] }));
    expect(door.usage.lastUsedMs('key-1')).toBeUndefined();
    expect(door.usage.lastUsedMs('key-2')).toBeUndefined();
    door.gate.authenticate(text, ADDRESS);
    expect(door.usage.lastUsedMs('key-1')).toBe(door.clock.now());
  });

  it('names the holder of a refused key for the record, if the secret is right', () => {
    const text = door.add({ revokedAtMs: door.clock.now(), name: 'old' });
    expect(door.gate.holderOf(text)).toMatchObject({ type: 'key', id: 'key-1', keyId: 'key-1', name: 'old' });
    for (const other of [undefined, 'x', newKeyText(), withOtherSecret(text)]) {
      expect(door.gate.holderOf(other)).toBeUndefined();
    }
  });
});

describe('Gate and failed authentications', () => {
  it('answers the 101st failure of an address in 10 s with rate_limited, and says when to come back', () => {
    const door = new Door(new FakeClock());
    for (let i = 0; i < 100; i++) expect(codeOf(door, newKeyText())).toBe('key_unknown');
    expect(refusal(() => door.gate.authenticate('x', ADDRESS))).toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 1,
    });
    expect(door.gate.addressLimit(ADDRESS)).toMatchObject({ policy: 'address', limit: 100, seconds: 10, remaining: 0 });
    expect(codeOf(door, 'x', '192.0.2.8')).toBe('key_malformed');
    door.clock.advance(100);
    expect(codeOf(door, 'x')).toBe('key_malformed');
    expect(codeOf(door, 'x')).toBe('rate_limited');
  });

  it('counts all addresses of an IPv6 /64 as one', () => {
    const door = new Door(new FakeClock());
    for (let i = 0; i < 100; i++) codeOf(door, 'x', `2001:db8:0:1::${i.toString(16)}`);
    expect(codeOf(door, 'x', '2001:db8:0:1:ffff::1')).toBe('rate_limited');
    expect(codeOf(door, 'x', '2001:db8:0:2::1')).toBe('key_malformed');
  });

  it('never holds up a good key of the same address', () => {
    const door = new Door(new FakeClock());
    const text = door.add();
    for (let i = 0; i < 200; i++) codeOf(door, 'x');
    expect(door.gate.authenticate(text, ADDRESS).keyId).toBe('key-1');
  });

  it('does not count requests without any key', () => {
    const door = new Door(new FakeClock());
    for (let i = 0; i < 300; i++) expect(codeOf(door, undefined)).toBe('key_missing');
    expect(codeOf(door, 'x')).toBe('key_malformed');
  });

  it('remembers a bounded number of addresses', () => {
    const door = new Door(new FakeClock());
    door.options.limiterEntries = 1_000;
    door.gate = new Gate(door.snapshot, door.digest, door.usage, door.clock, door.options);
    const failures = (door.gate as unknown as { failures: { size: number } }).failures;
    for (let i = 0; i < 20_000; i++) codeOf(door, 'x', `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    expect(failures.size).toBeLessThanOrEqual(1_000);
    expect(failures.size).toBeGreaterThan(400);
  });
});
