import { FakeClock } from '@sibyl/kernel/testing';
import { ConnectionProof } from './connection-proof';
import { newKeyText, parseKey } from './key-text';
import { Door } from './testing';

const ADDRESS = '192.0.2.7';

describe('what a connection has proven', () => {
  let door: Door<FakeClock>;
  let proof: ConnectionProof;
  let hashed: number;

  beforeEach(() => {
    door = new Door(new FakeClock());
    proof = new ConnectionProof();
    hashed = 0;
    const { digest } = door;
    const matches = digest.matches.bind(digest);
    digest.matches = (...given) => {
      hashed++;
      return matches(...given);
    };
  });

  const enter = (text: string): unknown => door.gate.authenticate(text, ADDRESS, proof);
  const codeOf = (text: string): unknown => {
    try {
      return enter(text);
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('is not hashed again for the same key, and is the same holder', () => {
    const text = door.add();
    const holder = enter(text);
    expect(enter(text)).toBe(holder);
    expect(hashed).toBe(1);
  });

  it('holds for that key only', () => {
    const [first, second] = [door.add(), door.add()];
    enter(first);
    expect(enter(second)).toMatchObject({ keyId: 'key-2' });
    expect(enter(first)).toMatchObject({ keyId: 'key-1' });
    expect(hashed).toBe(3);
    const wrong = newKeyText();
    expect(codeOf(wrong)).toBe('key_unknown');
    expect(codeOf(`${first.slice(0, -1)}${first.endsWith('0') ? '1' : '0'}`)).toBe('key_malformed');
    expect(enter(first)).toMatchObject({ keyId: 'key-1' });
  });

  it('holds for that connection only', () => {
    const text = door.add();
    enter(text);
    door.gate.authenticate(text, ADDRESS, new ConnectionProof());
    door.gate.authenticate(text, ADDRESS);
    expect(hashed).toBe(3);
  });

  it('is worth nothing once the secret was replaced', () => {
    const text = door.add();
    enter(text);
    const prefix = parseKey(text)?.prefix ?? '';
    const key = {
      id: 'key-1',
      prefix,
      name: 'key-1',
      scopes: ['predict' as const],
      createdAtMs: 0,
      createdBy: 'test',
      person: 'operator',
    };
    const secret = { prefix, keyId: 'key-1', digest: Buffer.alloc(32), expiresAtMs: Infinity };
    door.snapshot.apply({ ...key, version: 99 }, [secret]);
    expect(codeOf(text)).toBe('key_unknown');
  });

  it('does not make a key live longer: revoked, expired and unwelcome keys are refused at once', () => {
    const expiring = door.add({ expiresAtMs: door.clock.now() + 1000 });
    enter(expiring);
    door.clock.advance(1000);
    expect(codeOf(expiring)).toBe('key_expired');
    const text = door.add();
    enter(text);
    const prefix = parseKey(text)?.prefix ?? '';
    const secret = door.snapshot.secret(prefix)!;
    const key = {
      id: 'key-2',
      prefix,
      name: 'key-2',
      scopes: ['predict' as const],
      createdAtMs: 0,
      createdBy: 'test',
      person: 'operator',
    };
    door.snapshot.apply({ ...key, version: 99, revokedAtMs: 1 }, [{ ...secret, prefix }]);
    expect(codeOf(text)).toBe('key_revoked');
  });
});
