import { FieldContent } from './field-content';

const content = new FieldContent();
const read = (bytes: Buffer): string => content.at(bytes, 0, bytes.length).text();

it('reads what the bytes say, however often and whatever was read before', () => {
  const texts = ['', 'x', 'Relu', 'é', 'Ã©', '\0', 'a\0', 'x'.repeat(24), 'y'.repeat(25), '\ufffd', '中文', '🂡', 'ÿ'];
  // Many more than are remembered, so that places are taken over.
  for (let i = 0; i < 5_000; i++) texts.push(`name_${i}`, `é${i}`);
  for (let round = 0; round < 2; round++) for (const text of texts) expect(read(Buffer.from(text))).toBe(text);
});

it('does not take bytes that are no text for a text that was read before', () => {
  const broken = Buffer.from([0x61, 0xff, 0x62]);
  expect(read(Buffer.from('a\ufffdb'))).toBe('a\ufffdb');
  expect(read(broken)).toBe('a\ufffdb');
  expect(content.says('a\ufffdb')).toBe(false);
  expect(read(Buffer.from('aÿb', 'latin1'))).not.toBe('aÿb');
  // Bytes of one text among others, as the walk points at them.
  const both = Buffer.from('xReluy');
  expect(content.at(both, 1, 4).text()).toBe('Relu');
  expect(content.says('Relu')).toBe(true);
});
