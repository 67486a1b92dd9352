// npm run bench:register: what it takes to register a version and to validate it, from the first byte of the upload to the answer,
// and which step took how long. The model has 200 trees; the goal holds for the two together.
//   --rounds N   registrations, each under a new version (default 5)
import fs from 'node:fs';
import path from 'node:path';
import { wholeArgument } from '../support/arguments.mjs';
import { REPOSITORY, startServer } from '../support/server.mjs';
import { median, table } from './figures.mjs';

const PACKAGE = path.join(REPOSITORY, 'test/bench/models/fraud_transactions-3.1.0');
const GOAL_MS = 2_000;

/** Registers the package under a version of its own: what the server answered, and how long that took. */
async function register(server, manifest, version) {
  const form = new FormData();
  for (const file of fs.readdirSync(PACKAGE)) {
    const content =
      file === 'sibyl.json' ? JSON.stringify({ ...manifest, version }) : fs.readFileSync(path.join(PACKAGE, file));
    form.append('file', new Blob([content]), file);
  }
  const begun = performance.now();
  const answer = await fetch(`${server.url}/v1/models/${manifest.name}/versions`, {
    method: 'POST',
    headers: { 'x-api-key': server.adminKey },
    body: form,
  });
  const body = await answer.json();
  if (answer.status !== 201) throw new Error(`the model was not taken: ${answer.status} ${JSON.stringify(body)}`);
  return { ms: performance.now() - begun, report: body.report };
}

async function validate(server, name, version) {
  const begun = performance.now();
  const route = `/v1/models/${name}/versions/${version}/validate`;
  const { status, body } = await server.call('POST', route, { body: { reason: 'measured' } });
  if (status !== 200) throw new Error(`the version was not validated: ${status} ${JSON.stringify(body)}`);
  return { ms: performance.now() - begun, report: body.report };
}

function stepRows(registrations, validations) {
  return registrations[0].report.steps.map(({ name, skipped }) => {
    const took = (reports) =>
      median(reports.map(({ report }) => report.steps.find((step) => step.name === name).duration_ms)).toFixed(1);
    return [name, took(registrations), took(validations), skipped ?? 'passed'];
  });
}

async function main() {
  const rounds = wholeArgument('--rounds', 5);
  const manifest = JSON.parse(fs.readFileSync(path.join(PACKAGE, 'sibyl.json'), 'utf8'));
  const server = await startServer({ env: { SIBYL_MODELS: '' } });
  try {
    const registrations = [];
    const validations = [];
    for (let round = 1; round <= rounds; round++) {
      registrations.push(await register(server, manifest, `3.1.${round}`));
      validations.push(await validate(server, manifest.name, `3.1.${round}`));
    }
    const times = (measured) => median(measured.map(({ ms }) => ms));
    console.log(table([['step', 'register ms', 'validate ms', ''], ...stepRows(registrations, validations)]));
    const { batches, memory_bytes: memory } = registrations[0].report.trial;
    console.log(
      table([
        ['rows', 'median ms', 'MiB'],
        ...batches.map((b) => [b.rows, b.median_ms.toFixed(2), (b.memory_bytes / 2 ** 20).toFixed(1)]),
      ]),
    );
    const both = times(registrations) + times(validations);
    console.log(`loaded: ${(memory / 2 ** 20).toFixed(0)} MiB`);
    console.log(
      `register ${times(registrations).toFixed(0)} ms + validate ${times(validations).toFixed(0)} ms = ${both.toFixed(0)} ms ` +
        `(goal: < ${GOAL_MS} ms): ${both < GOAL_MS ? 'holds' : 'does not hold'}`,
    );
    process.exitCode = both < GOAL_MS ? 0 : 1;
  } finally {
    await server.stop();
  }
}

await main();
