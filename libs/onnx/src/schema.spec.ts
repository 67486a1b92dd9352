import { SCHEMA } from './schema';

describe('SCHEMA', () => {
  it('defines every message that a field refers to', () => {
    const fields = Object.values(SCHEMA).flatMap((shape) => shape.filter((field) => field !== undefined));
    const messages = fields.filter(({ kind }) => kind === 'message').map(({ message }) => message);
    expect(messages.filter((name) => !(String(name) in SCHEMA))).toEqual([]);
  });

  it('keeps field numbers within the bits that mark what was seen', () => {
    expect(Object.values(SCHEMA).every((shape) => shape.length <= 32)).toBe(true);
  });
});
