import { inspectOnnx } from './inspect-onnx';
import { signatureOf } from './signature-of';
import { faultsOf } from './testing/faults-of';
import { encodeModel, value } from './testing/model-parts';
import { classifierModel, zipMapModel } from './testing/models';

describe('signatureOf', () => {
  it('gives names, datatypes and shapes, and nothing else', () => {
    expect(
      signatureOf(inspectOnnx(classifierModel({ weights: [[1], [2]], bias: [0, 0], labels: ['a', 'b'] }))),
    ).toEqual({
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 1] }],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
      ],
    });
  });

  it('leaves out a shape that the file does not declare', () => {
    const model = inspectOnnx(encodeModel({ outputs: [value('y', 'FP64')] }));
    expect(signatureOf(model).outputs).toEqual([{ name: 'y', datatype: 'FP64' }]);
  });

  it('refuses a ZipMap and says how to switch it off', () => {
    expect(faultsOf(() => signatureOf(inspectOnnx(zipMapModel())))).toEqual([
      {
        pointer: '/graph/output/1',
        expected: 'a tensor',
        received: 'seq(map(int64,tensor(float)))',
        hint: expect.stringContaining("options={id(model): {'zipmap': False}}"),
      },
    ]);
  });

  it('refuses other inputs and outputs that are no tensors, all at once', () => {
    const sequence = { sequence_type: { elem_type: { tensor_type: { elem_type: 1 } } } };
    const model = encodeModel({
      inputs: [{ name: 's', type: sequence }],
      outputs: [{ name: 'o', type: { optional_type: {} } }],
    });
    const faults = faultsOf(() => signatureOf(inspectOnnx(model)));
    expect(faults.map(({ pointer, received, hint }) => [pointer, received, hint])).toEqual([
      ['/graph/input/0', 'seq(tensor(float))', undefined],
      ['/graph/output/0', 'optional(?)', undefined],
    ]);
  });
});
