import { onnxFileOf } from './mlmodel';

const AS_MLFLOW_WRITES_IT = `artifact_path: model
flavors:
  onnx:
    code: null
    data: model.onnx
    onnx_version: 1.19.0
    providers:
    - CUDAExecutionProvider
    - CPUExecutionProvider
  python_function:
    data: other.onnx
    env:
      conda: conda.yaml
mlflow_version: 3.1.0
signature:
  inputs: '[{"type": "tensor"}]'
`;

describe('the ONNX file of an MLmodel', () => {
  it.each([
    ['as MLflow writes it', AS_MLFLOW_WRITES_IT, 'model.onnx'],
    ['with Windows line ends', AS_MLFLOW_WRITES_IT.replaceAll('\n', '\r\n'), 'model.onnx'],
    ['in quotes', "flavors:\n  onnx:\n    data: '1.onnx'\n", '1.onnx'],
    ['in a folder', 'flavors:\n    onnx:\n        data: weights/model.onnx\n', 'weights/model.onnx'],
    ['beside what is no YAML', `signature: [[[\n${AS_MLFLOW_WRITES_IT}run_id: "`, 'model.onnx'],
  ])('is found %s', (_, text, file) => {
    expect(onnxFileOf(text)).toBe(file);
  });

  it.each([
    ...['', '[', '\0', 'flavors: 3', 'flavors:\n  sklearn: {}\n', 'flavors:\n  onnx:\n    data: [1]\n'],
    ...['data: model.onnx\n', 'flavors:\n  sklearn:\n    data: model.onnx\n', 'flavors:\n  onnx:\ndata: model.onnx\n'],
    ...['flavors:\n  onnx:\n    code:\n      data: model.onnx\n', 'flavors:\n  onnx:\n    data: ../../etc/passwd\n'],
    `flavors:\n  onnx:\n    data: ${'x'.repeat(5000)}\n`,
  ])('is not found in %j', (text) => {
    expect(onnxFileOf(text)).toBeUndefined();
  });
});
