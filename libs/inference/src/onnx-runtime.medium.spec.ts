import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { identityModel } from '@sibyl/onnx/testing';
import { describeModelRuntime, startTestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([1, 2])('with %i runners', (runners) => {
  describeModelRuntime('OnnxRuntime', async () => {
    const file = path.join(folder, 'identity.onnx');
    const garbage = path.join(folder, 'garbage.onnx');
    writeFileSync(file, identityModel('FP32', ['N', 2]));
    writeFileSync(garbage, Buffer.alloc(1000, 'not a model '));
    const { runtime } = await startTestRuntime({ runners });
    return {
      runtime,
      model: { key: 'identity', path: file },
      broken: { key: 'garbage', path: garbage },
      inputName: 'x',
      inputs: (rows) => [
        {
          name: 'x',
          datatype: 'FP32',
          shape: [rows.length, 2],
          data: Float32Array.from(rows.flatMap((row) => [row, -row])),
        },
      ],
      answer: (row) => [row, -row],
    };
  });
});
