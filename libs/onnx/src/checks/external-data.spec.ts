import { inspectOnnx } from '../inspect-onnx';
import { faultsOf, limitsWith } from '../testing/faults-of';
import { externalDataModel, EXTERNAL_PLACES } from '../testing/hostile-models';
import { encodeModel, externalTensor, tensor, value } from '../testing/model-parts';
import { isPlainName } from './external-data';

const BAD_LOCATIONS = [
  '',
  '.',
  '..',
  '../secret',
  '/etc/passwd',
  'a/../../b',
  'sub/weights.bin',
  './weights.bin',
  '..\\secret',
  'C:\\secret',
  'C:secret',
  '*/_ORT_MEM_ADDR_/*',
  '*/_ORT_MEM_ADDR_',
  'weights\0.bin',
  '..%2fsecret',
  '%2e%2e%2fsecret',
  '．．／secret',
  'file:///etc/passwd',
  '.env',
  '~root',
  '-',
  'weights.bin ',
  'weights.',
  'a\nb',
  'con|x',
  '\u202eb',
  'x'.repeat(256),
];

describe('external data', () => {
  it.each(BAD_LOCATIONS)('is refused at %j', (location) => {
    expect(isPlainName(location)).toBe(false);
    expect(faultsOf(() => inspectOnnx(externalDataModel({ location })))[0]).toMatchObject({
      pointer: '/graph/initializer/0',
      expected: 'external data in a file beside the model, given by its plain name',
    });
  });

  it.each(['model.onnx_data', 'model.onnx.data', 'onnx__MatMul_12', 'layer 1 (copy).bin', 'gewichte-ü.bin', '_w'])(
    'may lie in %j',
    (location) => {
      expect(isPlainName(location)).toBe(true);
    },
  );

  it.each(EXTERNAL_PLACES)('is found in: %s', (place) => {
    const faults = faultsOf(() => inspectOnnx(externalDataModel({ location: '../../etc/passwd' }, place)));
    expect(faults.length).toBeGreaterThan(0);
    expect(faults.every(({ received }) => received === '"../../etc/passwd"')).toBe(true);
  });

  it('is judged even where the tensor says that its data lies inside', () => {
    const inside = { ...tensor('w', 'FP32', [1], [1]), external_data: [{ key: 'location', value: '/etc/passwd' }] };
    const model = encodeModel({ initializers: [inside], outputs: [value('y', 'FP32')] });
    expect(faultsOf(() => inspectOnnx(model))).toHaveLength(1);
  });

  it('must have a location', () => {
    const nowhere = { name: 'w', data_type: 1, dims: [1], data_location: 1 };
    const model = encodeModel({ initializers: [nowhere], outputs: [value('y', 'FP32')] });
    expect(faultsOf(() => inspectOnnx(model))[0]?.received).toBe('""');
  });

  it.each([
    ['offset', '-1'],
    ['offset', '1e3'],
    ['offset', '99999999999999999999'],
    ['offset', ''],
    ['length', '4'],
    ['length', '9999999'],
    ['length', 'NaN'],
  ])('is refused with the %s %j', (key, text) => {
    const model = externalDataModel({ location: 'w.bin', [key]: text });
    expect(faultsOf(() => inspectOnnx(model))[0]?.hint).toBe('The dimensions declare 8 bytes.');
  });

  it('is refused with keys that readers treat differently', () => {
    const at = { location: 'w.bin', prepacked: 'x' };
    expect(faultsOf(() => inspectOnnx(externalDataModel(at)))[0]?.received).toBe('"prepacked"');
    const entries = [
      { key: 'location', value: 'w.bin' },
      { key: 'location', value: 'other.bin' },
    ];
    const twice = { ...externalTensor('w', 'FP32', [2], { location: '' }), external_data: entries };
    const model = encodeModel({ initializers: [twice], outputs: [value('y', 'FP32')] });
    expect(faultsOf(() => inspectOnnx(model))[0]?.received).toBe('"location"');
  });

  it('cannot hold texts', () => {
    const texts = externalTensor('w', 'BYTES', [1], { location: 'w.bin' });
    const model = encodeModel({ initializers: [texts], outputs: [value('y', 'FP32')] });
    expect(faultsOf(() => inspectOnnx(model))[0]?.received).toBe('texts as external data');
  });

  it('may lie in a limited number of files', () => {
    const initializers = ['a', 'b', 'c'].map((name) => externalTensor(name, 'FP32', [1], { location: `${name}.bin` }));
    const model = encodeModel({ initializers, outputs: [value('y', 'FP32')] });
    expect(inspectOnnx(model).externalFiles).toEqual(['a.bin', 'b.bin', 'c.bin']);
    expect(faultsOf(() => inspectOnnx(model, limitsWith({ externalFiles: 2 })))[0]?.expected).toContain('2 files');
  });
});
