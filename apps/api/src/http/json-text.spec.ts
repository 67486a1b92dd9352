import { DomainError } from '@sibyl/kernel';
import { parseJson, parseWideJson } from './json-text';

const parse = (text: string, depth = 32): unknown => parseJson(Buffer.from(text), depth);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error.code;
  }
  throw new Error('was accepted');
}

describe('the JSON of a body', () => {
  it('takes the last of duplicate members', () => expect(parse('{"a":1,"a":2}')).toEqual({ a: 2 }));

  it('may be nested as deep as the limit and no deeper', () => {
    expect(parse('[[[1]]]', 3)).toEqual([[[1]]]);
    expect(codeOf(() => parse('[[[[1]]]]', 3))).toBe('json_too_deep');
    expect(codeOf(() => parse('{"a":{"b":{"c":{}}}}', 3))).toBe('json_too_deep');
  });

  it('does not count brackets within text', () =>
    expect(parse('{"a":"[[[[{{{{\\"[["}', 1)).toEqual({ a: '[[[[{{{{"[[' }));

  it('refuses 100,000 levels before anything recurses', () =>
    expect(codeOf(() => parse('['.repeat(100_000)))).toBe('json_too_deep'));

  it.each(['', '{', '{"a":}', "{'a':1}", '{"a":1}x', 'NaN', '[1,]', '"a', '"a\\'])('refuses %p', (text) =>
    expect(codeOf(() => parse(text))).toBe('malformed_json'),
  );

  it('refuses what is not UTF-8', () => {
    expect(codeOf(() => parseJson(Buffer.of(0x22, 0xff, 0x22), 32))).toBe('malformed_json');
    expect(codeOf(() => parseJson(Buffer.from('"é"', 'latin1'), 32))).toBe('malformed_json');
  });

  it('never repeats the body in its error', () => {
    try {
      parse('{"password": hunter2}');
    } catch (error) {
      expect((error as DomainError).detail).not.toContain('hunter2');
    }
    expect.assertions(1);
  });
});

describe('parseWideJson', () => {
  it.each([
    ['[9007199254740993]', [9007199254740993n]],
    ['{"a": -9223372036854775808}', { a: -9223372036854775808n }],
    ['[9007199254740991, 1.2345678901234567, 1234567890123456e3, "9007199254740993"]', undefined],
    ['{"a":9007199254740993,"a":2}', { a: 2 }],
    [`[${'9'.repeat(21)}]`, undefined],
    ['{"a":[1,2]}', undefined],
  ])('reads %s with all its digits', (text, expected) => {
    expect(parseWideJson(text)).toEqual(expected ?? JSON.parse(text));
  });

  it('says where a text is malformed, as ever', () => {
    expect(() => parseWideJson('{"a":9007199254740993,}')).toThrow(expect.objectContaining({ code: 'malformed_json' }));
  });
});
