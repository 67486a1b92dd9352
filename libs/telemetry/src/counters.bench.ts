// What the counters of one prediction cost, beside prom-client's own.
// node -r ./test/support/load-typescript.cjs libs/telemetry/src/counters.bench.ts
import { Counter, Histogram, Registry } from 'prom-client';
import { DURATION_BUCKETS } from './fixed-histogram';
import { Metrics } from './metrics';

const ROUNDS = 500_000;
const LIMIT_NS = 1_000;

const metrics = new Metrics();
const version = metrics.predictions.of('momentum', '1.3.0');
const route = metrics.http.of('/predict', 'POST');
const registers = [new Registry()];
const counter = new Counter({ name: 'predictions', help: 'x', labelNames: ['model', 'version', 'outcome'], registers });
const histogram = new Histogram({
  name: 'duration',
  help: 'x',
  labelNames: ['model', 'version'],
  buckets: [...DURATION_BUCKETS],
  registers,
});

const parts = {
  'ours, all of one prediction': (i: number): void => {
    const seconds = (i % 100) / 10_000;
    version.succeed(seconds);
    version.queue.observe(seconds);
    version.inference.observe(seconds);
    version.audit.observe(seconds);
    version.value.observe(0.5);
    version.countLabel('HOLD');
    route.record(200, seconds);
  },
  'prom-client, two of them': (i: number): void => {
    counter.inc({ model: 'momentum', version: '1.3.0', outcome: 'succeeded' });
    histogram.observe({ model: 'momentum', version: '1.3.0' }, (i % 100) / 10_000);
  },
};

let ours = 0;
for (const [name, work] of Object.entries(parts)) {
  for (let i = 0; i < ROUNDS / 10; i++) work(i);
  const start = process.cpuUsage();
  for (let i = 0; i < ROUNDS; i++) work(i);
  const { user, system } = process.cpuUsage(start);
  const ns = ((user + system) * 1000) / ROUNDS;
  if (ours === 0) ours = ns;
  console.log(`${name.padEnd(30)} ${ns.toFixed(0).padStart(6)} ns`);
}
metrics.close();
console.log(`counters of a prediction: ${ours.toFixed(0)} ns (limit ${LIMIT_NS} ns)`);
process.exitCode = ours <= LIMIT_NS ? 0 : 1;
