import { BodyRoom } from './body-room';

describe('BodyRoom', () => {
  it('puts pieces together, more of them than there is room for at first', () => {
    const pieces = Array.from({ length: 100 }, (_, i) => Buffer.alloc(65_537, i));
    const whole = Buffer.concat(pieces);
    const room = new BodyRoom(whole.length);
    for (const piece of pieces) room.add(piece);
    expect(room.length).toBe(whole.length);
    expect(room.take().equals(whole)).toBe(true);
  });

  it('takes no more than was announced, and at first no more than a mebibyte', () => {
    const small = new BodyRoom(10);
    for (const piece of ['ab', 'c']) small.add(Buffer.from(piece));
    expect(small.take().buffer.byteLength).toBe(10);
    const large = new BodyRoom(64 * 1024 * 1024);
    for (const piece of ['ab', 'c']) large.add(Buffer.from(piece));
    expect(large.take().buffer.byteLength).toBe(1024 * 1024);
    expect(String(large.take())).toBe('abc');
  });

  it('does not copy a body in one piece', () => {
    const piece = Buffer.from('ab');
    const room = new BodyRoom(2);
    room.add(piece);
    expect(room.take()).toBe(piece);
  });

  it('is empty where nothing came', () => expect(new BodyRoom(10).take()).toHaveLength(0));
});
