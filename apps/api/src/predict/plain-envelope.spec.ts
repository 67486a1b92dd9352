import { readPlainEnvelope } from './plain-envelope';
import { readEnvelope } from './predict-envelope';

const WHOLE = {
  symbol: 'AAPL',
  entity: 'desk-7',
  timestamp: '2024-01-15T10:30:00Z',
  features: { price: 1.5, rsi: null },
  model: 'momentum',
  model_version: '1.3.0',
};

/** What the reader made of a text: its members, and what stands where its scanner was left. */
function read(text: string, mayHaveInputs = true): unknown {
  const bytes = Buffer.from(text);
  const envelope = readPlainEnvelope(bytes, { inputs: mayHaveInputs, depth: 4 });
  if (envelope === undefined) return undefined;
  const { scanner, withInputs, query, model, version } = envelope;
  if (scanner === undefined) return { withInputs, query, model, version, nested: '{}' };
  const from = scanner.at;
  scanner.skipNested();
  return { withInputs, query, model, version, nested: bytes.toString('utf8', from, scanner.at) };
}

function ordinary(text: string): unknown {
  const { query, model, version, features, inputs } = readEnvelope(JSON.parse(text), '', true);
  return { withInputs: inputs !== undefined, query, model, version, nested: JSON.stringify(inputs ?? features) };
}

describe('readPlainEnvelope', () => {
  it.each([
    JSON.stringify(WHOLE),
    JSON.stringify({ features: {} }),
    JSON.stringify({ symbol: 'BTC/USDT' }),
    '{}',
    JSON.stringify({ inputs: { x: [['}"]', 1]] }, model: 'm' }),
    JSON.stringify(Object.fromEntries(Object.entries(WHOLE).reverse())),
  ])('finds in %s what the ordinary way finds', (text) => {
    expect(read(text)).toBeDefined();
    expect(read(text)).toEqual(ordinary(text));
  });

  it('takes blanks wherever JSON does', () => {
    expect(read(' {\n "model" : "m" ,\t"features" : { "a" : 1 } }\r\n')).toEqual({
      withInputs: false,
      query: {},
      model: 'm',
      version: undefined,
      nested: '{ "a" : 1 }',
    });
  });

  it.each([
    ['nothing', ''],
    ['an array', '[]'],
    ['features and inputs', '{"features":{},"inputs":{}}'],
    ['features twice', '{"features":{},"features":{}}'],
    ['a member twice', '{"model":"a","model":"b","features":{}}'],
    ['another member', '{"features":{},"modell":"m"}'],
    ['an escape', '{"features":{},"model":"\\u0061"}'],
    ['characters beyond ASCII', '{"features":{},"symbol":"É"}'],
    ['an empty text', '{"features":{},"model":""}'],
    ['a text that is too long', `{"features":{},"model":"${'m'.repeat(257)}"}`],
    ['null', '{"features":{},"model":null}'],
    ['a time that is none', '{"features":{},"timestamp":"2024-02-30T00:00:00Z"}'],
    ['an entity of several keys', '{"features":{},"entity":{"a":1}}'],
    ['something behind it', '{"features":{}} x'],
    ['a comma too many', '{"features":{},}'],
    ['a comma too few', '{"features":{}"model":"m"}'],
    ['no end', '{"features":{}'],
    ['features without an end', '{"features":{"a":1'],
    ['features that are no object', '{"features":1}'],
    ['more levels than are allowed', '{"features":{"a":[[[1]]]}}'],
    ['a byte order mark', '\ufeff{"features":{}}'],
  ])('leaves %s to the ordinary way', (_name, text) => expect(read(text)).toBeUndefined());

  it('leaves inputs to the ordinary way where only features are taken', () => {
    expect(read('{"inputs":{}}', false)).toBeUndefined();
  });
});
