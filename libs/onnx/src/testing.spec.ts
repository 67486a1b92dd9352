import { inspectOnnx } from './inspect-onnx';
import * as models from './testing';

const HARMLESS: Readonly<Record<string, Buffer>> = {
  identity: models.identityModel('INT16', [2]),
  unary: models.unaryModel('Log'),
  add: models.addModel('FP64'),
  linear: models.linearModel({ weights: [[1, 2]], bias: [0] }),
  classifier: models.classifierModel({ weights: [[1], [2]], bias: [0, 0] }),
  zipMap: models.zipMapModel(),
  gather: models.gatherModel(),
  old: models.oldModel(),
  function: models.functionModel(),
  branch: models.branchModel(),
  loop: models.loopModel(),
  endless: models.endlessModel(),
  'huge output': models.hugeOutputModel(2n ** 40n),
  'nested if': models.nestedIfModel(2, 'both'),
};

describe('models for tests', () => {
  it.each(Object.entries(HARMLESS))('pass the scan: %s', (_, bytes) => {
    expect(inspectOnnx(bytes).outputs.length).toBeGreaterThan(0);
  });

  it.each(['INT8', 'UINT16', 'FP16', 'INT32', 'FP64', 'UINT64', 'BOOL'] as const)(
    'hold weights of %s in as many bytes as they take',
    (element) => {
      const initializers = [models.tensor('w', element, [3], [1, 0, 1])];
      const bytes = models.encodeModel({ initializers, outputs: [models.value('y', element)] });
      expect(inspectOnnx(bytes).outputs[0]?.datatype).toBe(element);
    },
  );
});
