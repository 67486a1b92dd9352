// Runs the tests with a PostgreSQL of this run's own. Without arguments everything: build, check and all tests, and the
// last line reads "N passed, N failed". --only <path pattern> runs some of the tests, without build and check; --coverage
// measures. What else is given goes to Jest.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const runs = path.join(root, '.cache/test');
const require = createRequire(import.meta.url);

// Nothing is lost that matters when a test database loses power.
const FAST = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '150' };

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  const only = valuesOf(args, '--only');
  const failures = only.length > 0 ? [] : await prepare();
  const jest = await withDatabase((env) => runJest([...only, ...args], env));
  for (const failure of failures) console.log(`FAILED: ${failure}`);
  if (jest.failed === 0 && jest.code !== 0) {
    console.log('FAILED: jest ended with an error');
    failures.push('jest');
  }
  console.log(`${jest.passed} passed, ${jest.failed + failures.length} failed`);
  return jest.failed + failures.length === 0 ? 0 : 1;
}

/** Takes `--name value` out of the arguments, as often as it is there. */
function valuesOf(args, name) {
  const values = [];
  for (let at = args.indexOf(name); at >= 0; at = args.indexOf(name)) values.push(args.splice(at, 2)[1] ?? '');
  return values.filter((value) => value !== '');
}

/** Build and check, each of which counts as a failed test when it fails. */
async function prepare() {
  const failures = [];
  for (const step of ['build', 'check']) {
    const code = await run(process.execPath, [path.join(root, `scripts/${step}.mjs`)], process.env);
    if (code !== 0) failures.push(step);
  }
  return failures;
}

async function withDatabase(work) {
  if (process.env.TEST_DATABASE_URL) return work(testEnvironment(process.env.TEST_DATABASE_URL));
  require('../test/support/load-typescript.cjs');
  const { EmbeddedPostgres, EMBEDDED_SUPERUSER } = require('../libs/database/src/embedded-postgres.ts');
  removeStaleRuns();
  const folder = path.join(runs, String(process.pid));
  const log = { debug() {}, info() {}, warn() {}, error: report };
  const server = await EmbeddedPostgres.start({ folder, settings: FAST }, log);
  try {
    return await work(testEnvironment(server.url(EMBEDDED_SUPERUSER, 'postgres')));
  } finally {
    await server.stop();
    for (const place of [server.folder, folder]) rmSync(place, { recursive: true, force: true });
  }
}

/** The settings of whoever runs the tests must not reach them. */
function testEnvironment(url) {
  const foreign = /^(SIBYL_|MODEL_SERVER_|DATABASE_URL$|REDIS_URL$|AWS_|MLFLOW_)/;
  const own = Object.entries(process.env).filter(([name]) => !foreign.test(name));
  return { ...Object.fromEntries(own), TEST_DATABASE_URL: url };
}

async function runJest(args, env) {
  const results = path.join(runs, `${process.pid}.json`);
  mkdirSync(runs, { recursive: true });
  const workers = Math.max(2, Math.floor(availableParallelism() / 2));
  const jest = path.join(root, 'node_modules/jest/bin/jest.js');
  const ours = ['--json', `--outputFile=${results}`, `--maxWorkers=${workers}`, '--passWithNoTests'];
  // Jest reports on stderr; ours goes to one place, so that its last line is the last.
  const code = await run(process.execPath, [jest, ...ours, ...args], env, ['inherit', 1, 1]);
  const counts = existsSync(results) ? JSON.parse(readFileSync(results, 'utf8')) : undefined;
  rmSync(results, { force: true });
  // A suite that cannot even be loaded has no tests to count, and is one failure.
  const failed = (counts?.numFailedTests ?? 0) + (counts?.numRuntimeErrorTestSuites ?? 0);
  return { code, passed: counts?.numPassedTests ?? 0, failed };
}

/** Ctrl-C reaches the child too; we wait for it, so that what we started is stopped in order. */
function run(program, args, env, stdio = 'inherit') {
  const child = spawn(program, args, { cwd: root, env, stdio });
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  return new Promise((resolve) => {
    const end = (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code ?? 1);
    };
    child.once('error', () => end(1)).once('exit', end);
  });
}

/** A run that was killed leaves its folder behind. */
function removeStaleRuns() {
  if (!existsSync(runs)) return;
  for (const name of readdirSync(runs)) {
    const pid = Number.parseInt(name, 10);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    const pointer = path.join(runs, name, 'elsewhere');
    if (existsSync(pointer)) rmSync(readFileSync(pointer, 'utf8').trim(), { recursive: true, force: true });
    rmSync(path.join(runs, name), { recursive: true, force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function report(fields, message) {
  console.error(message, fields);
}
