// The machine's own limit: bare node:http, JSON.parse, one ONNX run for whatever is waiting, JSON.stringify. No key, no
// checks, no record, no other process. Sibyl's cost is given as a fraction of this server's (F), because that fraction
// stays the same where raw rates swing with the machine.
//   argument: {modelFile, input, row, columns, outputs} as JSON; `row` is the shape of one row of the only input, FP32
import http from 'node:http';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

const require = createRequire(import.meta.url);
const ort = require('onnxruntime-node');
const { binding, initOrt } = require('onnxruntime-node/dist/binding');

const { modelFile, input, row: ROW, columns: COLUMNS, outputs: OUTPUTS } = JSON.parse(process.argv[2]);
const WIDTH = ROW.reduce((product, size) => product * size, 1);
const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128];
const TRIALS = 5;
const NEARLY = 1.1;

// The binding's own synchronous run: the public one only puts a setImmediate around it, and the limit shall be the limit.
initOrt();
const session = new binding.InferenceSession();
session.loadModel(modelFile, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  logSeverityLevel: 3,
});
const fetches = Object.fromEntries(OUTPUTS.map((name) => [name, null]));

const waiting = [];
let scheduled = false;

function run(values, rows) {
  return session.run({ [input]: new ort.Tensor('float32', values, [rows, ...ROW]) }, fetches, {});
}

/** Rows in a batch at most: as many as make a row cheapest on this machine. Convolutions only lose by larger ones. */
function bestBatch() {
  const costs = BATCHES.map((rows) => {
    const values = new Float32Array(rows * WIDTH);
    let best = Infinity;
    for (let trial = 0; trial <= TRIALS; trial++) {
      const begun = performance.now();
      run(values, rows);
      if (trial > 0) best = Math.min(best, performance.now() - begun);
    }
    return best / rows;
  });
  const least = Math.min(...costs);
  return BATCHES[costs.findLastIndex((cost) => cost <= least * NEARLY)];
}

const BATCH_MAX = bestBatch();

function fillNested(target, offset, nested) {
  let at = offset;
  for (const each of nested) {
    if (Array.isArray(each)) at = fillNested(target, at, each);
    else target[at++] = each === null ? NaN : each;
  }
  return at;
}

function fill(target, offset, body) {
  if (body.inputs) {
    const row = body.inputs[input][0];
    if (ROW.length > 1) fillNested(target, offset, row);
    else for (let i = 0; i < WIDTH; i++) target[offset + i] = row[i] === null ? NaN : row[i];
  } else {
    for (let i = 0; i < WIDTH; i++) target[offset + i] = body.features[COLUMNS[i]] ?? NaN;
  }
}

/** Row `index` of an output with one or two dimensions, as nested arrays with one row. */
function rowOf({ data, dims }, index) {
  if (dims.length === 1) return [Number(data[index])];
  const width = dims[1];
  const row = new Array(width);
  for (let i = 0; i < width; i++) row[i] = data[index * width + i];
  return [row];
}

function infer(requests) {
  const values = new Float32Array(requests.length * WIDTH);
  for (let i = 0; i < requests.length; i++) fill(values, i * WIDTH, requests[i].body);
  const results = run(values, requests.length);
  for (let i = 0; i < requests.length; i++) {
    const outputs = {};
    for (const name of OUTPUTS) outputs[name] = rowOf(results[name], i);
    const answer = JSON.stringify({ outputs });
    requests[i].response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(answer),
    });
    requests[i].response.end(answer);
  }
}

function runWaiting() {
  scheduled = false;
  while (waiting.length > 0) infer(waiting.splice(0, BATCH_MAX));
}

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const bytes = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
    waiting.push({ body: JSON.parse(bytes.toString('utf8')), response });
    if (scheduled) return;
    scheduled = true;
    setImmediate(runWaiting);
  });
});

server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, batchMax: BATCH_MAX }));
process.on('disconnect', () => process.exit(0));
