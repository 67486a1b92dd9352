import { DomainError } from '@sibyl/kernel';
import { decodeJson, parseWideJson, withoutMark } from './json-text';
import { parseLongJson } from './long-json';

const DEPTH = 6;

/** Takes turns whenever it is asked. */
const restless = { due: true, next: () => Promise.resolve() };

type Outcome = { value: unknown } | { code: string; detail: string };

function faultOf(error: unknown): Outcome {
  if (!(error instanceof DomainError)) throw error;
  return { code: error.code, detail: error.detail };
}

function whole(bytes: Buffer): Outcome {
  try {
    return { value: parseWideJson(decodeJson(bytes, DEPTH)) };
  } catch (error) {
    return faultOf(error);
  }
}

async function inPieces(bytes: Buffer, pieceBytes: number): Promise<Outcome> {
  try {
    return { value: await parseLongJson(withoutMark(bytes), DEPTH, restless, pieceBytes) };
  } catch (error) {
    return faultOf(error);
  }
}

const SEEDS = [
  '{"inputs":{"x":[[1.5,null,-3e-2],[4,5.25,6]],"y":[[true],["a"]]},"model":"m"}',
  '{"requests":[{"symbol":"A","features":{"a":1,"b":[1,2]}},{"symbol":"é,[{","features":{}},{},[]],"model":"m"}',
  ' [ [ ] , { "2" : 0 , "1" : [ 7 , 8 ] , "a" : { } } , "\\"," , [ [ 1 , 2 ] , [ ] ] ] ',
  '{"a":[1,2],"b":0,"a":[3,4],"__proto__":{"c":[5,6],"d":7},"\\u0061":[8,9,{"e":10,"f":11}]}',
  '[[[[1,2],[3]],[[4]]],[[[5,6]]],1,2,3]',
  '"only, a text"',
  '\ufeff{"a":"é","b":[1,2]}',
];

/** Whole numbers of 64 bits, which the exact parser reads; its faults have other places, so that they are not mutated. */
const WIDE_SEEDS = [
  '{"ids":[1,9007199254740993,-9223372036854775808,3],"b":{"c":12345678901234567890,"d":[1e400,-0]}}',
];

/** Repeatable random numbers (mulberry32). */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let hash = Math.imul(state ^ (state >>> 15), 1 | state);
    hash = (hash + Math.imul(hash ^ (hash >>> 7), 61 | hash)) ^ hash;
    return Math.floor((((hash ^ (hash >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const PIECES = [
  ...'{}[],,,:"\\ -+.eE0123456789an',
  'null',
  '1e999',
  '"a":7',
  ',"a":7',
  '[]',
  '{}',
  ',,',
  'é',
  '\u0000',
  '\\u0041',
  '[[[[[[[',
  ']]]',
  '"__proto__":[1,2],',
];

function mutated(text: string, random: (below: number) => number): string {
  let made = text;
  for (let edits = 1 + random(3); edits > 0; edits--) {
    const at = random(made.length + 1);
    made = made.slice(0, at) + (PIECES[random(PIECES.length)] ?? '') + made.slice(at + random(4));
  }
  return made;
}

describe('parseLongJson', () => {
  it.each([...SEEDS, ...WIDE_SEEDS])('reads %s cut anywhere as it is read whole', async (text) => {
    const bytes = Buffer.from(text);
    const expected = whole(bytes);
    expect(expected).toHaveProperty('value');
    for (let apart = 0; apart <= bytes.length; apart++) expect(await inPieces(bytes, apart)).toEqual(expected);
  });

  it('says the same of thirty thousand mutants', async () => {
    const random = randomOf(11);
    let taken = 0;
    for (let i = 0; i < 30_000; i++) {
      const text = mutated(SEEDS[i % SEEDS.length] ?? '', random);
      const bytes = Buffer.from(text);
      // Bytes that are no characters, too.
      if (random(20) === 0) bytes[random(bytes.length)] = 0x80 + random(128);
      const expected = whole(bytes);
      if ('value' in expected) taken++;
      const read = await inPieces(bytes, random(12));
      if (JSON.stringify(read) !== JSON.stringify(expected)) expect({ text, read }).toEqual({ text, read: expected });
    }
    expect(taken).toBeGreaterThan(3_000);
  });

  it('keeps the order of members and what is under __proto__', async () => {
    const text = '{"b":1,"a":[1,2],"__proto__":[3,4],"c":{"__proto__":5,"z":6}}';
    const read = (await inPieces(Buffer.from(text), 0)) as { value: object };
    expect(JSON.stringify(read.value)).toBe(text);
    expect(Object.getPrototypeOf(read.value)).toBe(Object.prototype);
  });

  it('stops when its work is not wanted any more', async () => {
    const gone = new Error('gone');
    const pace = { due: true, next: () => Promise.reject(gone) };
    await expect(parseLongJson(Buffer.from('[1,2]'.padEnd(100_000)), DEPTH, pace)).rejects.toBe(gone);
  });

  it.each([
    ['top level', '{', '}'],
    ['features', '{"features":{', '}}'],
    ['inputs', '{"model":"m","inputs":{', '},"a":1}'],
    ['an item of a batch', '{"requests":[{"features":{"a":1}},{"features":{', '}}]}'],
  ])('refuses more members than can be listed in one go: %s', async (_, before, after) => {
    const bodyOf = (names: number): Buffer =>
      Buffer.from(before + Array.from({ length: names }, (_name, i) => `"f${i}":1`).join(',') + after);
    expect(await inPieces(bodyOf(60_000), 64 * 1024)).toHaveProperty('value');
    expect(await inPieces(bodyOf(400_000), 64 * 1024)).toEqual({
      code: 'invalid_parameter',
      detail: 'An object of the body may have 65536 members.',
    });
  });

  it('counts the members of each object by itself', async () => {
    const item = `{"features":{${Array.from({ length: 20_000 }, (_, i) => `"f${i}":1`).join(',')}}}`;
    const bytes = Buffer.from(`{"requests":[${Array.from({ length: 8 }, () => item).join(',')}]}`);
    expect(await inPieces(bytes, 64 * 1024)).toHaveProperty('value');
  });

  it('refuses a number without end, which no parser can leave in its middle', async () => {
    const digits = (count: number): Buffer => Buffer.from(`{"inputs":{"x":[[1.5,${'1'.repeat(count)}]]}}`);
    expect(await inPieces(digits(2_000_000), 64 * 1024)).toEqual({
      code: 'malformed_json',
      detail: 'A number or word of the body has 65536 characters or more.',
    });
    expect(await inPieces(digits(60_000), 64 * 1024)).toEqual(whole(digits(60_000)));
  });

  it.each([
    ['a text', `["${'1'.repeat(300_000)}"]`],
    ['a text of escapes', `["${'\\u0031'.repeat(50_000)}"]`],
    ['blanks', `[1,${' '.repeat(300_000)}2]${' '.repeat(300_000)}`],
    ['what stands behind the value', `[1]${'1'.repeat(300_000)}`],
  ])('takes no offence at %s as long', async (_, text) => {
    const bytes = Buffer.from(text);
    expect(await inPieces(bytes, 64 * 1024)).toEqual(whole(bytes));
  });
});
