import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Metrics } from './metrics';
import { MetricsSum, type MetricReading } from './metrics-sum';

/** What a process tells, through the JSON of a message. */
async function told(registry: Registry): Promise<readonly MetricReading[]> {
  return JSON.parse(JSON.stringify(await registry.getMetricsAsJSON())) as MetricReading[];
}

/** A process that has counted, measured and holds a number. */
function aProcess(value: number): Registry {
  const registry = new Registry();
  const registers = [registry];
  new Counter({ name: 'requests_total', help: 'h', labelNames: ['route'], registers }).inc({ route: '/a' }, value);
  new Gauge({ name: 'backlog', help: 'h', registers }).set(value);
  new Gauge({ name: 'keys', help: 'h', registers, aggregator: 'max' }).set(value);
  new Histogram({ name: 'seconds', help: 'h', buckets: [1, 5], registers }).observe(value);
  return registry;
}

describe('the metrics of several processes', () => {
  it('are summed, or what their metric says', async () => {
    const sum = new MetricsSum(() => 2);
    sum.learn({}, await told(aProcess(3)));
    sum.learn({}, await told(aProcess(4)));
    const lines = (await sum.text()).split('\n');
    for (const line of [
      'requests_total{route="/a"} 7',
      'backlog 7',
      'keys 4',
      'seconds_bucket{le="1"} 0',
      'seconds_bucket{le="5"} 2',
      'seconds_bucket{le="+Inf"} 2',
      'seconds_sum 7',
      'seconds_count 2',
      'sibyl_workers 2',
      'sibyl_worker_restarts_total 0',
    ])
      expect(lines).toContain(line);
  });

  it('never fall when a process ends: its counters stay, what it held does not', async () => {
    const sum = new MetricsSum(() => 1);
    const [first, second] = [{}, {}];
    sum.learn(first, await told(aProcess(3)));
    sum.learn(second, await told(aProcess(4)));
    sum.leave(first);
    sum.learn(second, await told(aProcess(5)));
    sum.leave({});
    const lines = (await sum.text()).split('\n');
    for (const line of [
      'requests_total{route="/a"} 8',
      'seconds_count 2',
      'backlog 5',
      'sibyl_worker_restarts_total 2',
    ])
      expect(lines).toContain(line);
  });

  it('keep what a process said last while it says nothing', async () => {
    const sum = new MetricsSum(() => 1);
    sum.learn({}, await told(aProcess(3)));
    await sum.text();
    expect(await sum.text()).toContain('requests_total{route="/a"} 3');
  });

  it('are those of this server: one exposition in which every name is declared once', async () => {
    const processes = [new Metrics(), new Metrics()];
    const sum = new MetricsSum(() => 2);
    for (const [at, metrics] of processes.entries()) {
      metrics.predictions.of('m', '1').succeed(0.1 * (at + 1));
      metrics.server.read({
        loadedModels: () => [],
        untrustedModels: () => [],
        activeKeys: () => 7,
        spoolBacklog: () => 2,
        damagedArtifacts: () => 0,
        gpus: () => Promise.resolve([{ index: 0, uuid: 'g', utilization: 0.5 }]),
      });
      sum.learn(metrics, await told(metrics.registry));
      metrics.close();
    }
    const text = await sum.text();
    const declared = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect(new Set(declared).size).toBe(declared.length);
    for (const line of [
      'sibyl_predictions_total{model="m",version="1",outcome="succeeded"} 2',
      'sibyl_gpu_utilization_ratio{gpu="0",uuid="g"} 0.5',
      'sibyl_prediction_duration_seconds_count{model="m",version="1"} 2',
      'sibyl_active_keys 7',
      'sibyl_audit_spool_backlog 4',
    ])
      expect(text.split('\n')).toContain(line);
    expect(text).not.toMatch(/null|NaN|Nan/);
  });
});
