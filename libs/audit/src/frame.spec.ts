import { findFrame, frameSeed, OpenFrame, payloadOf, readFrame } from './frame';
import { PayloadCipher } from './payload-cipher';

const chain = '0199aaaa-0000-7000-8000-00000000000c';
const key = Buffer.alloc(32, 7);
const seed = frameSeed(chain, 1);

function frameOf(bodies: readonly string[], payloads: readonly (string | undefined)[] = []): Buffer {
  const frame = new OpenFrame();
  bodies.forEach((body, index) => frame.add(100 + index, body, payloads[index]));
  return Buffer.from(frame.close(new PayloadCipher(key, chain), seed));
}

function bodiesIn(bytes: Buffer): string[] {
  const frame = readFrame(bytes, 0, seed);
  if (!frame) return [];
  const bodies: string[] = [];
  for (let at = frame.eventsAt; at < frame.payloadAt;) {
    const length = bytes.readUInt32LE(at);
    bodies.push(bytes.toString('latin1', at + 4, at + 4 + length));
    at += 4 + length;
  }
  return bodies;
}

function payloadsIn(bytes: Buffer, cipher = new PayloadCipher(key, chain)): (string | undefined)[] {
  const frame = readFrame(bytes, 0, seed);
  if (!frame) throw new Error('no frame');
  const { iv, tag, payloadAt, payloadBytes } = frame;
  const ciphertext = bytes.subarray(payloadAt, payloadAt + payloadBytes);
  const plain = cipher.open({ iv, tag, ciphertext }, frame.firstSeq, frame.count);
  return Array.from({ length: frame.count }, (_, index) => payloadOf(plain, index));
}

describe('frame', () => {
  const bodies = ['{"a":1}', '{}', '{"b":"two"}'];
  const payloads = ['{"secret":"Müller 😀"}', undefined, ''];

  it('gives back events and payloads, each at its place', () => {
    const bytes = frameOf(bodies, payloads);
    expect(readFrame(bytes, 0, seed)).toMatchObject({ bytes: bytes.length, firstSeq: 100, count: 3 });
    expect(bodiesIn(bytes)).toEqual(bodies);
    expect(payloadsIn(bytes)).toEqual(payloads);
  });

  it('grows to whatever it is given and can be filled again', () => {
    const frame = new OpenFrame();
    const large = 'x'.repeat(6 * 1024 * 1024);
    frame.add(1, `"${large}"`, large);
    const cipher = new PayloadCipher(key, chain);
    expect(bodiesIn(frame.close(cipher, seed))).toEqual([`"${large}"`]);
    frame.reset();
    frame.add(2, '{"small":1}', 'small');
    const bytes = frame.close(cipher, seed);
    expect(bodiesIn(bytes)).toEqual(['{"small":1}']);
    expect(payloadsIn(bytes)).toEqual(['small']);
  });

  it('keeps a payload in pieces as the text that they make together, however large', () => {
    const large = 'é'.repeat(100_000);
    const frame = new OpenFrame();
    frame.add(1, '{}', ['{"request":', large, ',"answer":', '{"a":1}', '}']);
    frame.add(2, '{}', ['{"small":', '2', '}']);
    const bytes = Buffer.from(frame.close(new PayloadCipher(key, chain), seed));
    expect(payloadsIn(bytes)).toEqual([`{"request":${large},"answer":{"a":1}}`, '{"small":2}']);
  });

  it('shows nothing of a payload', () => {
    expect(frameOf(bodies, payloads).includes('secret')).toBe(false);
  });

  it('is not taken when torn at any byte', () => {
    const bytes = frameOf(bodies, payloads);
    for (let length = 0; length < bytes.length; length++) {
      const torn = Buffer.alloc(bytes.length + 4096);
      bytes.copy(torn, 0, 0, length);
      // A torn frame that ends in zeros by itself is whole.
      if (!torn.subarray(0, bytes.length).equals(bytes)) expect(readFrame(torn, 0, seed)).toBeUndefined();
      expect(readFrame(bytes.subarray(0, length), 0, seed)).toBeUndefined();
    }
  });

  it('is not taken with any bit changed', () => {
    const bytes = frameOf(bodies, payloads);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = Buffer.from(bytes);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(readFrame(damaged, 0, seed)).toBeUndefined();
    }
  });

  it('is not taken in another segment or chain than its own', () => {
    const bytes = frameOf(bodies);
    expect(readFrame(bytes, 0, frameSeed(chain, 2))).toBeUndefined();
    expect(readFrame(bytes, 0, frameSeed('another', 1))).toBeUndefined();
  });

  it('is found again behind damaged bytes', () => {
    const bytes = frameOf(bodies);
    expect(findFrame(Buffer.concat([Buffer.alloc(77, 1), bytes]), 0)).toBe(77);
    expect(findFrame(Buffer.alloc(77), 0)).toBeUndefined();
  });
});

describe('payload cipher', () => {
  it('refuses payloads that were moved or changed, or sealed with another key', () => {
    const cipher = new PayloadCipher(key, chain);
    const sealed = cipher.seal(Buffer.from('text'), 5, 2);
    expect(cipher.open(sealed, 5, 2).toString()).toBe('text');
    expect(() => cipher.open(sealed, 6, 2)).toThrow();
    expect(() => cipher.open(sealed, 5, 3)).toThrow();
    expect(() => cipher.open({ ...sealed, tag: Buffer.alloc(16) }, 5, 2)).toThrow();
    expect(() => new PayloadCipher(key, 'another').open(sealed, 5, 2)).toThrow();
    expect(() => new PayloadCipher(Buffer.alloc(32, 8), chain).open(sealed, 5, 2)).toThrow();
  });

  it('never uses an IV twice', () => {
    const cipher = new PayloadCipher(key, chain);
    const ivs = new Set(Array.from({ length: 2000 }, () => cipher.seal(Buffer.from('x'), 1, 1).iv.toString('hex')));
    expect(ivs.size).toBe(2000);
  });

  it('takes only keys of 32 bytes', () => {
    expect(() => new PayloadCipher(Buffer.alloc(16), chain)).toThrow();
  });
});
