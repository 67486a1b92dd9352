import { entityKey } from './entity-key';

const text = { name: 'symbol', type: 'string', maxLength: 256 } as const;
const whole = { name: 'id', type: 'int', maxLength: 256 } as const;
const refused = expect.objectContaining({ expected: expect.any(String) as unknown }) as unknown;

describe('the key of an entity', () => {
  it.each([
    ['BTC/USDT', 'BTC/USDT'],
    ['x'.repeat(256), 'x'.repeat(256)],
    ['x'.repeat(257), refused],
    // Of two and of four bytes: what PostgreSQL keeps is counted, and not what JavaScript does.
    ['é'.repeat(128), 'é'.repeat(128)],
    ['é'.repeat(129), refused],
    ['🐙'.repeat(64), '🐙'.repeat(64)],
    ['🐙'.repeat(65), refused],
    ['', refused],
    ['a\0b', refused],
    ['\ud800', refused],
    [7, refused],
    [null, refused],
    [['A'], refused],
  ])('%j as text', (given, key) => expect(entityKey(text, given)).toEqual(key));

  it.each([
    [7, '7'],
    ['7', '7'],
    ['-07', '-7'],
    ['+7', refused],
    [7.5, refused],
    ['7.0', refused],
    ['1e3', refused],
    [2 ** 53, refused],
    ['9007199254740993', refused],
    ['', refused],
    [true, refused],
  ])('%j as a whole number', (given, key) => expect(entityKey(whole, given)).toEqual(key));

  it('has at most the length of its definition, and is all of its pattern', () => {
    const rule = { ...text, maxLength: 5, pattern: '[A-Z]+' };
    expect(entityKey(rule, 'ABCDE')).toBe('ABCDE');
    for (const given of ['ABCDEF', 'ABc', 'AB\n', 'aAB']) expect(entityKey(rule, given)).toEqual(refused);
  });
});
