import { randomBytes } from 'node:crypto';
import { AnswerSeal } from './answer-seal';

describe('AnswerSeal', () => {
  const seal = new AnswerSeal(randomBytes(32));

  it('gives back what it sealed, and shows nothing of it meanwhile', () => {
    const sealed = seal.seal('{"key":"sk_secret ü"}', 'here');
    expect(sealed.toString('latin1')).not.toContain('sk_');
    expect(seal.open(sealed, 'here')).toBe('{"key":"sk_secret ü"}');
    expect(seal.open(new Uint8Array(sealed), 'here')).toBe('{"key":"sk_secret ü"}');
    expect(seal.seal('same', 'here')).not.toEqual(seal.seal('same', 'here'));
  });

  it('opens nothing that was moved, changed, cut or sealed with another key', () => {
    const sealed = seal.seal('text', 'here');
    expect(() => seal.open(sealed, 'there')).toThrow();
    expect(() => new AnswerSeal(randomBytes(32)).open(sealed, 'here')).toThrow();
    for (let i = 0; i < sealed.length; i++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8(changed.readUInt8(i) ^ 1, i);
      expect(() => seal.open(changed, 'here')).toThrow();
      expect(() => seal.open(sealed.subarray(0, i), 'here')).toThrow();
    }
  });

  it('refuses a key of another length', () => {
    expect(() => new AnswerSeal(randomBytes(16))).toThrow();
  });
});
