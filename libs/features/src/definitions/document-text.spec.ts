import { DomainError } from '@sibyl/kernel';
import { DOCUMENT_MAX, readDocuments } from './document-text';

function refusal(text: string): string {
  try {
    readDocuments(text);
  } catch (error) {
    if (error instanceof DomainError && error.code === 'invalid_definition') return error.detail;
    throw error;
  }
  throw new Error('it was read');
}

describe('readDocuments', () => {
  it('reads YAML and JSON to the same values', () => {
    const expected = {
      name: 'a',
      list: [1, 2.5, -3],
      flag: true,
      nothing: null,
      text: 'yes',
      inner: { x: '2026-01-01' },
    };
    expect(readDocuments(JSON.stringify(expected))).toEqual([expected]);
    const yaml = 'name: a\nlist: [1, 2.5, -3]\nflag: true\nnothing: ~\ntext: yes\ninner:\n  x: 2026-01-01 # a note\n';
    expect(readDocuments(yaml)).toEqual([expected]);
  });

  it('reads documents parted by ---, and leaves out empty ones', () => {
    expect(readDocuments('---\na: 1\n---\n---\nb: 2\n')).toEqual([{ a: 1 }, { b: 2 }]);
    expect(readDocuments('')).toEqual([]);
  });

  it('keeps a member named __proto__ a member', () => {
    const [value] = readDocuments('__proto__: {polluted: true}');
    expect(Object.keys(value as object)).toEqual(['__proto__']);
    expect((value as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it.each([
    ['an alias', 'a: &x [1]\nb: *x', /aliases are refused/],
    ['a bomb', `a: &a [x]\nb: &b [*a,*a]\nc: &c [*b,*b]`, /aliases are refused/],
    ['a tag', 'a: !!binary aGk=', /tags are refused/],
    ['a tag of JavaScript', 'a: !!js/function "return 1"', /tags are refused/],
    ['a member twice', 'a: {b: 1, b: 2}', /\/a\/b is there twice/],
    ['a member twice in JSON', '{"a": 1, "a": 2}', /\/a is there twice/],
    ['a number for a name', '1: 2', /no text/],
    ['an object for a name', '? {a: 1}\n: 2', /no text/],
    ['no end', '{"a": [1', /line 1/],
    ['two things on a line', 'a: b: c', /line 1/],
    ['more than it may hold', `a: ${'x'.repeat(DOCUMENT_MAX)}`, /256 KiB/],
    ['deep lists', '['.repeat(100_000), /nested too deeply/],
    ['deep lists that close', '["]", '.repeat(5_000), /nested too deeply/],
    ['deep objects', '{a: '.repeat(20_000), /nested too deeply/],
    ['deep blocks on a line', '- '.repeat(100_000), /nested too deeply/],
    ['deep keys on a line', '? '.repeat(100_000), /nested too deeply/],
    ['deep blocks', Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), /indented too deeply/],
    ['many parts', `[${'1,'.repeat(60_000)}`, /too many parts/],
    ['many documents', '---\na\n'.repeat(40), /more than 32 documents/],
  ])('refuses %s', (_what, text, message) => expect(refusal(text)).toMatch(message));

  it('reads the deepest that it lets through', () => {
    const blocks = Array.from({ length: 128 }, (_, i) => `${' '.repeat(i)}a:\n${' '.repeat(i)}-`).join('\n');
    expect(() => readDocuments(`${blocks} 1`)).not.toThrow(RangeError);
    expect(readDocuments(`${'['.repeat(32)}${']'.repeat(32)}`)).toHaveLength(1);
  });
});
