import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { identityModel } from '@sibyl/onnx/testing';
import { describeModelRuntime, startTestRuntime } from './testing';

const folder = mkdtempSync(path.join(tmpdir(), 'sibyl-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each([
  ['one shared runner', { runners: 1 }],
  ['two shared runners', { runners: 2 }],
  ['runners of their own', { runners: 1, ownBytes: 0 }],
])('with %s', (_, options) => {
  describeModelRuntime('OnnxRuntime', async () => {
    const file = path.join(folder, 'identity.onnx');
    const garbage = path.join(folder, 'garbage.onnx');
    writeFileSync(file, identityModel('FP32', ['N', 2]));
    writeFileSync(garbage, Buffer.alloc(1000, 'not a model '));
    const { runtime } = await startTestRuntime(options);
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
