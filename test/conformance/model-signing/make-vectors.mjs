// Makes vectors.json anew: one small package, signed by the OpenSSF tool with a key of
// each curve. Ordinary tests read it, so that they need no Python. The private keys are thrown away.
//   node test/conformance/model-signing/make-vectors.mjs
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { CURVES, makeKey, setUp, toolSign, toolVersion } from './tool.mjs';

const TARGET = path.join(import.meta.dirname, 'vectors.json');
const require = createRequire(import.meta.url);
require('reflect-metadata');
require('../../support/load-typescript.cjs');
const { linearModel } = require('@sibyl/onnx/testing');

const MANIFEST = {
  name: 'linear',
  version: '1.0.0',
  task: 'regression',
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2], columns: ['a', 'b'] }],
  outputs: [{ name: 'variable', datatype: 'FP32', shape: [-1, 1] }],
};
// Names that sort differently by folder and by text, an empty file, and what no package reader takes unless it is signed.
const FILES = {
  'model.onnx': linearModel({ weights: [[2, -1]], bias: [0.5] }),
  'sibyl.json': `${JSON.stringify(MANIFEST)}\n`,
  'notes.txt': 'beside a folder of nearly the same name\n',
  'notes/empty': '',
  'notes/how it was trained.md': 'by hand\n',
};

setUp();
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'sibyl-vectors-'));
try {
  const folder = path.join(work, 'linear');
  for (const [file, content] of Object.entries(FILES)) {
    fs.mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    fs.writeFileSync(path.join(folder, file), content);
  }
  const signatures = CURVES.map((curve) => {
    const { secret, open } = makeKey(work, curve, curve);
    const { ok, output } = toolSign(folder, secret);
    if (!ok) throw new Error(output);
    const signature = fs.readFileSync(path.join(folder, 'model.sig'), 'utf8');
    fs.rmSync(path.join(folder, 'model.sig'));
    return { curve, public_key: fs.readFileSync(open, 'utf8'), signature };
  });
  const files = Object.fromEntries(
    Object.entries(FILES).map(([file, content]) => [file, Buffer.from(content).toString('base64')]),
  );
  fs.mkdirSync(path.dirname(TARGET), { recursive: true });
  fs.writeFileSync(TARGET, `${JSON.stringify({ made_by: toolVersion(), files, signatures }, null, 2)}\n`);
  console.log(`wrote ${TARGET}`);
} finally {
  fs.rmSync(work, { recursive: true, force: true });
}
