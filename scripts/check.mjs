// Everything static about the code. Each step is one line of STEPS; two run at a time. Prints a table and, as the last
// line, how many steps hold; what a failed step said comes before.
import { spawn } from 'node:child_process';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const CONCURRENCY = 2;

// [what it holds, program, arguments]: the slow ones first.
const STEPS = [
  ['types', 'node_modules/typescript/bin/tsc', ['--noEmit', '-p', 'tsconfig.json']],
  ['lint', 'node_modules/oxlint/bin/oxlint', ['--type-aware', '--deny-warnings', 'apps', 'libs', 'test', 'scripts']],
  [
    'dependencies',
    'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
    ['apps', 'libs', 'test', '--config', '.dependency-cruiser.cjs'],
  ],
  ['dead code', 'node_modules/knip/bin/knip.js', ['--no-progress']],
  ['format', 'node_modules/prettier/bin/prettier.cjs', ['--check', '--log-level', 'warn', '.']],
  [
    'API description',
    'node_modules/@redocly/cli/bin/cli.js',
    ['lint', 'docs/openapi.json', '--config', 'redocly.yaml'],
  ],
  ['lock file', 'scripts/check-lock.mjs', []],
];

const waiting = [...STEPS];
const results = new Map();
await Promise.all(Array.from({ length: CONCURRENCY }, work));

for (const [name] of STEPS) {
  const { passed, seconds, output } = results.get(name);
  if (!passed) console.log(`--- ${name}\n${output.trim()}\n`);
  results.get(name).row = `${passed ? 'ok    ' : 'FAILED'}  ${name.padEnd(14)} ${seconds.toFixed(1).padStart(5)} s`;
}
for (const { row } of STEPS.map(([name]) => results.get(name))) console.log(row);
const failed = STEPS.filter(([name]) => !results.get(name).passed).length;
console.log(`check: ${STEPS.length - failed} of ${STEPS.length} hold`);
process.exitCode = failed === 0 ? 0 : 1;

async function work() {
  for (let step = waiting.shift(); step; step = waiting.shift()) results.set(step[0], await run(step));
}

function run([, program, args]) {
  const start = performance.now();
  const child = spawn(process.execPath, [path.join(root, program), ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // The check asks nobody outside: not for newer versions, and it reports to nobody.
    env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  return new Promise((resolve) => {
    const end = (passed) => resolve({ passed, seconds: (performance.now() - start) / 1000, output });
    child.once('error', () => end(false)).once('close', (code) => end(code === 0));
  });
}
