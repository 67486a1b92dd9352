// The machine's own limit: bare node:http, JSON.parse, one ONNX run for whatever is waiting, JSON.stringify. No key, no
// checks, no record, no other process. Sibyl's cost is given as a fraction of this server's (F), because that fraction
// stays the same where raw rates swing with the machine.
import http from 'node:http';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

const require = createRequire(import.meta.url);
const ort = require('onnxruntime-node');
const { binding, initOrt } = require('onnxruntime-node/dist/binding');

const [modelFile, columnList] = process.argv.slice(2);
const COLUMNS = columnList.split(',');
const WIDTH = COLUMNS.length;
const MAX_BATCH = 128;

// The binding's own synchronous run: the public one only puts a setImmediate around it, and the limit shall be the limit.
initOrt();
const session = new binding.InferenceSession();
session.loadModel(modelFile, { intraOpNumThreads: 1, interOpNumThreads: 1, graphOptimizationLevel: 'all' });

const waiting = [];
let scheduled = false;

function fill(target, offset, body) {
  if (body.inputs) {
    const row = body.inputs.features[0];
    for (let i = 0; i < WIDTH; i++) target[offset + i] = row[i] === null ? NaN : row[i];
  } else {
    for (let i = 0; i < WIDTH; i++) target[offset + i] = body.features[COLUMNS[i]] ?? NaN;
  }
}

function infer(requests) {
  const values = new Float32Array(requests.length * WIDTH);
  for (let i = 0; i < requests.length; i++) fill(values, i * WIDTH, requests[i].body);
  const features = new ort.Tensor('float32', values, [requests.length, WIDTH]);
  const { label, probabilities } = session.run({ features }, { label: null, probabilities: null }, {});
  for (let i = 0; i < requests.length; i++) {
    const answer = JSON.stringify({
      outputs: {
        label: [Number(label.data[i])],
        probabilities: [[probabilities.data[2 * i], probabilities.data[2 * i + 1]]],
      },
    });
    requests[i].response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(answer),
    });
    requests[i].response.end(answer);
  }
}

function runWaiting() {
  scheduled = false;
  while (waiting.length > 0) infer(waiting.splice(0, MAX_BATCH));
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
server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port, readyMs: performance.now() }));
process.on('disconnect', () => process.exit(0));
