import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

interface Violation {
  readonly from: string;
  readonly to: string;
  readonly rule: { readonly name: string };
}

const root = path.resolve(__dirname, '../..');

/** A small house in which every file but the allowed ones breaks exactly the rule that it stands under. */
const WRONG: Record<string, Record<string, string>> = {
  'look-down-only': {
    'libs/telemetry/src/sideways.ts': `import '@sibyl/protocol';`,
    'libs/kernel/src/upward.ts': `import '@sibyl/audit';`,
    'libs/auth/src/neighbour.ts': `import type { it } from '@sibyl/registry';\nexport type Neighbour = typeof it;`,
  },
  'every-library-has-a-level': { 'apps/api/src/strange.ts': `import '../../../libs/common/src/index';` },
  'front-door-of-libraries': {
    'libs/auth/src/back-door.ts': `import '../../audit/src/inside';`,
    'apps/api/src/back-door.ts': `import '../../../libs/audit/src/inside';`,
    'test/back-door.ts': `import '../libs/audit/src/inside';`,
  },
  'no-barrel-inside': { 'libs/audit/src/barrel.ts': `import './index';` },
  'testing-only-in-tests': {
    'libs/prediction/src/fake.ts': `import '@sibyl/audit/testing';`,
    'apps/api/src/fake.ts': `import '@sibyl/audit/testing';`,
  },
  'no-cycles': { 'libs/audit/src/left.ts': `import './right';` },
  'libraries-never-import-apps': { 'libs/prediction/src/app.ts': `import '../../../apps/api/src/fine';` },
  'apps-stand-alone': { 'apps/api/src/runner.ts': `import '../../runner/src/fine';` },
  'only-apps-know-http': {
    'libs/auth/src/http.ts': `import 'express';`,
    'libs/auth/src/nest.ts': `import '@nestjs/platform-express';`,
  },
  'onnxruntime-only-in-the-runner': {
    'libs/inference/src/native.ts': `import 'onnxruntime-node';`,
    'apps/api/src/native.ts': `export const load = () => import('onnxruntime-node');`,
  },
  'the-runner-is-bare': {
    'apps/runner/src/library.ts': `import '@sibyl/telemetry';`,
    'apps/runner/src/package.ts': `import 'pino';`,
    'apps/runner/src/network.ts': `import 'node:http';`,
  },
  'kernel-imports-nothing': { 'libs/kernel/src/package.ts': `import 'rxjs';` },
  'pure-libraries': { 'libs/protocol/src/package.ts': `import 'rxjs';` },
  'one-way-to-postgres': { 'libs/audit/src/direct.ts': `import 'pg';` },
  'no-development-packages': { 'libs/auth/src/development.ts': `import 'typescript';` },
  'declared-packages-only': { 'libs/auth/src/undeclared.ts': `import 'iconv-lite';` },
  resolvable: { 'libs/auth/src/missing.ts': `import './nowhere';` },
};

const RIGHT: Record<string, string> = {
  'libs/prediction/src/fine.ts': `import '@sibyl/audit';\nimport '@sibyl/kernel';`,
  'libs/onnx/src/fine.ts': `import '@sibyl/protocol';\nimport 'class-validator';`,
  'libs/auth/src/fine.ts': `import type { ThrottlerStorage } from '@nestjs/throttler';\nexport type Fine = ThrottlerStorage;`,
  'libs/auth/src/fine.spec.ts': `import '@sibyl/audit/testing';\nimport './fine';`,
  'libs/database/src/fine.ts': `import 'pg';\nimport 'typeorm';`,
  'apps/runner/src/fine.ts': `import 'onnxruntime-node';\nimport '@sibyl/protocol';\nimport 'node:net';`,
  'apps/api/src/fine.ts': `import 'express';\nimport '@sibyl/prediction';`,
  'test/fine.ts': `import 'onnxruntime-node';\nimport 'pg';\nimport '@sibyl/audit';`,
  'libs/audit/src/inside.ts': `export const it = 1;`,
  // The other end of the cycle, which is reported once.
  'libs/audit/src/right.ts': `import type { it } from './left';\nexport type Right = typeof it;`,
};

const LIBRARIES = 'kernel protocol onnx telemetry database audit inference auth registry prediction common'.split(' ');

let house: string;
let violations: Violation[];

beforeAll(() => {
  mkdirSync(path.join(root, '.cache'), { recursive: true });
  house = mkdtempSync(path.join(root, '.cache/house-'));
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
    cpSync(path.join(root, name), path.join(house, name));
  symlinkSync(path.join(root, 'node_modules'), path.join(house, 'node_modules'));
  for (const library of LIBRARIES) write(`libs/${library}/src/index.ts`, 'export const it = 1;');
  write('libs/audit/src/testing.ts', 'export const it = 1;');
  for (const [file, text] of [...Object.values(WRONG).flatMap(Object.entries), ...Object.entries(RIGHT)])
    write(file, text as string);
  violations = cruise();
});

afterAll(() => rmSync(house, { recursive: true, force: true }));

function write(file: string, text: string): void {
  mkdirSync(path.join(house, path.dirname(file)), { recursive: true });
  writeFileSync(path.join(house, file), `${text}\n`);
}

function cruise(): Violation[] {
  const program = path.join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const args = [program, 'apps', 'libs', 'test', '--config', '.dependency-cruiser.cjs', '--output-type', 'json'];
  const { stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: house,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (stdout === '') throw new Error(stderr);
  return (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
}

it.each(Object.entries(WRONG).flatMap(([rule, files]) => Object.keys(files).map((file) => [rule, file] as const)))(
  '%s refuses %s',
  (rule, file) => {
    expect(violations.filter(({ from }) => from === file).map((violation) => violation.rule.name)).toContain(rule);
  },
);

it.each(Object.keys(RIGHT))('%s breaks no rule', (file) => {
  expect(violations.filter(({ from }) => from === file)).toEqual([]);
});

it('has an example for every rule', () => {
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { forbidden } = require('../../.dependency-cruiser.cjs') as { forbidden: { name: string }[] };
  expect(new Set(Object.keys(WRONG))).toEqual(new Set(forbidden.map(({ name }) => name)));
});
