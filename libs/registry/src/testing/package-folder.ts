import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { linearModel } from '@sibyl/onnx/testing';

export interface PackageParts {
  /** Members of sibyl.json; undefined writes none. */
  readonly manifest?: Record<string, unknown> | undefined;
  /** golden.json; null writes none. */
  readonly golden?: Record<string, unknown> | null;
  readonly model?: Buffer;
  /** Further files, by path. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
}

const WEIGHTS = { weights: [[2, -1]], bias: [0.5] };

const made: string[] = [];
afterAll(() => Promise.all(made.splice(0).map((folder) => rm(folder, { recursive: true, force: true }))));

/** A small regression, variable = 2 a - b + 0.5, in a temporary folder that goes with the test file; whatever is given replaces a part of it. */
export async function packageFolder(parts: PackageParts = {}): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'sibyl-package-'));
  made.push(folder);
  const manifest = 'manifest' in parts ? parts.manifest : {};
  const files: Record<string, string | Buffer> = { 'model.onnx': parts.model ?? linearModel(WEIGHTS) };
  if (manifest) files['sibyl.json'] = JSON.stringify({ ...aManifest(), ...manifest });
  if (parts.golden !== null) files['golden.json'] = JSON.stringify({ ...aGolden(), ...parts.golden });
  for (const [name, content] of Object.entries({ ...files, ...parts.files })) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), content);
  }
  return folder;
}

function aManifest(): Record<string, unknown> {
  return {
    name: 'linear',
    version: '1.0.0',
    task: 'regression',
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] }],
    features: [
      { name: 'a', datatype: 'FP32', nullable: false, min: -100, max: 100 },
      { name: 'b', datatype: 'FP32', nullable: true, default: 0 },
    ],
    outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }],
    decision: { value_output: 'variable' },
  };
}

function aGolden(): Record<string, unknown> {
  return {
    source: 'by hand',
    tolerance: { rtol: 1e-6, atol: 1e-6 },
    samples: [
      { inputs: { features: [[1, 2]] }, outputs: { variable: [[0.5]] } },
      {
        inputs: {
          features: [
            [3, 1],
            [0, 0],
          ],
        },
        outputs: { variable: [[5.5], [0.5]] },
      },
    ],
  };
}
