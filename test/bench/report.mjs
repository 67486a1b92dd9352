// docs/benchmarks.md, written by the command that measured it, so that no figure in it was ever typed.
import fs from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { REPOSITORY } from '../support/server.mjs';
import { wholeRows } from './cell.mjs';
import { describeMachine } from './machine.mjs';

const FILE = 'docs/benchmarks.md';

function markdownTable([head, ...rows]) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i < 2 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function where({ fsyncMs, start }) {
  const machine = describeMachine();
  return [
    ['machine', `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib.toFixed(0)} GiB`],
    ['kernel', machine.kernel],
    ['disk', `4 KiB durable write, p50 ${fsyncMs.toFixed(2)} ms`],
    ['Node', process.version],
    ['ONNX Runtime', `onnxruntime-node ${machine.onnxruntime}`],
    ['commit', machine.commit],
    ['date', new Date().toISOString().slice(0, 10)],
    [
      'load of the machine',
      `${machine.load.map((value) => value.toFixed(1)).join(', ')} (1, 5, 15 minutes) at the end`,
    ],
    ['start', `cold ${(start.coldMs / 1e3).toFixed(2)} s, warm ${(start.warmMs / 1e3).toFixed(2)} s`],
    ['idle memory', `${start.idle.pss.toFixed(0)} MiB PSS, ${start.idle.processes} processes`],
  ];
}

function limitBatches(cells) {
  const byModel = new Map(cells.map((cell) => [cell.subject.label, cell.limitBatch]));
  return [...byModel].map(([label, rows]) => `${label} ${rows}`).join(', ');
}

function text(measured) {
  const { cells } = measured;
  const rounds = cells[0].rounds;
  const relaxed = cells.find((cell) => cell.audit === 'relaxed');
  return `# Benchmarks

Written by \`npm run bench -- --full\`; do not edit.

${markdownTable([['', ''], ...where(measured)])}

**F** is CPU time per request of the limit server (bare \`node:http\`, \`JSON.parse\`, one ONNX run for whatever waits,
\`JSON.stringify\`; no key, no checks, no record) divided by Sibyl's, runners included and PostgreSQL left out. Both run
the same model on the same bodies on one core and take turns in slices of a second; medians of ${rounds} rounds, after one
that warms up and four seconds of each body that have both compile their code. F is a ratio taken within one run and moves little; rates and latencies move with the machine and with
whoever else uses it. A slice of a slow model with many connections is a handful of batches, and F is coarse
there. Sibyl checks the key and the limit, validates, and answers after the event is on the disk; with \`relaxed\` audit
(\`SIBYL_AUDIT_DURABILITY\`, refused in production) after the kernel has it, with a sync for each
${relaxed.eventsPerSync.toFixed(0)} answers here. There is no mode in which it does less.

Bodies: \`features\` names each feature (30; the small tree has 2), \`tensors\` has one row as nested arrays (30 numbers;
lstm 32×4, convolution 3×32×32). Dense and convolution have random weights and are made by the bench. Latencies are of a
closed loop, of all rounds together. Rows in a batch of the limit server at most, where a row is cheapest:
${limitBatches(cells)}.

${markdownTable(wholeRows(cells))}

## Goals

| command | holds when |
| --- | --- |
| \`npm run bench\`, with and without \`--full\` | tree, tensors: F at 64 connections at least 0.45, at one connection with relaxed audit at least 0.4; p50 of one connection at most 1 ms over the disk's; idle memory below 450 MiB |
| \`npm run bench:mixed\` | beside a heavy model the tree's p50 is at most the sum of what both models have alone |
| \`npm run bench:load\` | while a model of 400 MB is registered and loaded: no request for the tree fails, its p99 beside the loads is at most 1.1 times that between them, the event loop's p99 delay is at most 20 ms |
| \`npm run bench:bodies\` | for no body, request or answer, up to 64 MiB is the event loop held for more than 25 ms |
| \`npm run drill:overload\` | at 3 and 10 times the peak rate: goodput at least 90 % of the peak (what others took of the runner's core left out), p99 of the accepted at most twice that of a full queue, p99 of refusals at most 20 ms, memory at most 1.1 times, as before within 5 s |
`;
}

export async function writeReport(measured) {
  const file = path.join(REPOSITORY, FILE);
  const options = JSON.parse(fs.readFileSync(path.join(REPOSITORY, '.prettierrc.json'), 'utf8'));
  fs.writeFileSync(file, await format(text(measured), { ...options, parser: 'markdown' }));
  console.log(`written: ${FILE}`);
}
