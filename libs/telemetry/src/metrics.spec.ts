import { Metrics } from './metrics';

describe('metrics', () => {
  let metrics: Metrics;
  beforeEach(() => (metrics = new Metrics()));
  afterEach(() => metrics.close());

  const exposition = (): Promise<string> => metrics.registry.metrics();

  it('count predictions by version and outcome', async () => {
    const version = metrics.predictions.of('momentum', '1.3.0');
    version.succeed(0.003, 2);
    version.fail('failed');
    version.fail('denied', 3);
    const text = await exposition();
    expect(text).toContain('sibyl_predictions_total{model="momentum",version="1.3.0",outcome="succeeded"} 2');
    expect(text).toContain('sibyl_predictions_total{model="momentum",version="1.3.0",outcome="failed"} 1');
    expect(text).toContain('sibyl_predictions_total{model="momentum",version="1.3.0",outcome="denied"} 3');
    expect(text).toContain('sibyl_prediction_duration_seconds_count{model="momentum",version="1.3.0"} 1');
  });

  it('cumulate the buckets of a histogram as Prometheus reads them', async () => {
    const { duration } = metrics.predictions.of('m', '1');
    for (const seconds of [0.0001, 0.00025, 0.0003, 99]) duration.observe(seconds);
    const text = await exposition();
    expect(text).toContain('sibyl_prediction_duration_seconds_bucket{le="0.00025",model="m",version="1"} 2');
    expect(text).toContain('sibyl_prediction_duration_seconds_bucket{le="0.0005",model="m",version="1"} 3');
    expect(text).toContain('sibyl_prediction_duration_seconds_bucket{le="10",model="m",version="1"} 3');
    expect(text).toContain('sibyl_prediction_duration_seconds_bucket{le="+Inf",model="m",version="1"} 4');
    expect(text).toMatch(/sibyl_prediction_duration_seconds_sum\{model="m",version="1"\} 99\.0006/);
  });

  it('give a version the same counters every time, until it is forgotten', async () => {
    const version = metrics.predictions.of('m', '1');
    expect(metrics.predictions.of('m', '1')).toBe(version);
    version.succeed(0.1);
    metrics.predictions.forget('m', '1');
    expect(await exposition()).not.toContain('version="1"');
  });

  it('stay few, whatever names come', async () => {
    for (let n = 0; n < 2000; n++) metrics.predictions.of('m', `v${n}`).succeed(0.1);
    const version = metrics.predictions.of('m', 'v0');
    for (let n = 0; n < 2000; n++) version.countLabel(`label ${n}`);
    const text = await exposition();
    expect(text.match(/sibyl_predictions_total\{/g)?.length).toBeLessThanOrEqual(3 * 513);
    expect(text).toContain('sibyl_predictions_total{model="other",version="other",outcome="succeeded"} 1488');
    expect(text.match(/sibyl_prediction_label_total\{/g)).toHaveLength(65);
    expect(text).toContain('sibyl_prediction_label_total{model="m",version="v0",label="other"} 1936');
  });

  it('escape labels, so that no model name can write lines of its own', async () => {
    metrics.predictions.of('m"} 1\nevil 1', '1').succeed(0.1);
    expect(await exposition()).not.toMatch(/^evil/m);
  });

  it('count requests by route, method and status, and unknown methods as one', async () => {
    metrics.http.of('/v1/keys/{id}', 'GET').record(200, 0.01);
    metrics.http.of('/v1/keys/{id}', 'GET').record(404, 0.01);
    metrics.http.of(undefined, 'PROPFIND').record(404, 0.01);
    const text = await exposition();
    expect(text).toContain('sibyl_http_requests_total{route="/v1/keys/{id}",method="GET",status="200"} 1');
    expect(text).toContain('sibyl_http_requests_total{route="unmatched",method="OTHER",status="404"} 1');
    expect(text).toContain('sibyl_http_request_duration_seconds_count{route="/v1/keys/{id}",method="GET"} 2');
  });

  it('read what other parts hold when a scraper comes', async () => {
    let backlog = 3;
    const loadedModels = () => [
      {
        model: 'm',
        version: '1',
        memoryBytes: 1024,
        queueDepth: 2,
        providerShares: { cuda: 0.75, cpu: 0.25 },
        standIn: true,
      },
    ];
    const gpus = () => Promise.resolve([{ index: 0, uuid: 'GPU-1', utilization: 0.5, memoryUsedBytes: 4096 }]);
    metrics.server.read({
      loadedModels,
      untrustedModels: () => [{ model: 'm', version: '1' }],
      activeKeys: () => 7,
      spoolBacklog: () => backlog,
      gpus,
    });
    expect(await exposition()).toContain('sibyl_audit_spool_backlog 3');
    backlog = 0;
    const text = await exposition();
    for (const line of [
      'sibyl_audit_spool_backlog 0',
      'sibyl_active_keys 7',
      'sibyl_models_loaded 1',
      'sibyl_model_memory_bytes{model="m",version="1"} 1024',
      'sibyl_model_signature_untrusted{model="m",version="1"} 1',
      'sibyl_inference_queue_depth{model="m",version="1"} 2',
      'sibyl_model_provider_ratio{model="m",version="1",provider="cuda"} 0.75',
      'sibyl_gpu_utilization_ratio{gpu="0",uuid="GPU-1"} 0.5',
      'sibyl_gpu_memory_used_bytes{gpu="0",uuid="GPU-1"} 4096',
    ]) {
      expect(text).toContain(line);
    }
  });

  it('have the names of the contract', async () => {
    metrics.server.read({
      loadedModels: () => [],
      untrustedModels: () => [],
      activeKeys: () => 0,
      spoolBacklog: () => 0,
      gpus: () => Promise.resolve([]),
    });
    const names = new Set(metrics.registry.getMetricsAsArray().map(({ name }) => name));
    for (const name of [
      ...['http_requests_total', 'http_request_duration_seconds', 'predictions_total', 'prediction_duration_seconds'],
      ...[
        'prediction_value',
        'prediction_label_total',
        'inference_batch_size',
        'inference_queue_depth',
        'models_loaded',
      ],
      ...[
        'model_load_duration_seconds',
        'model_memory_bytes',
        'auth_refusals_total',
        'rate_limited_total',
        'active_keys',
      ],
      ...['audit_events_total', 'audit_commit_duration_seconds', 'audit_spool_backlog', 'event_loop_delay_seconds'],
    ]) {
      expect(names).toContain(`sibyl_${name}`);
    }
  });

  it('tell how late the event loop is, without the interval of looking', async () => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const value = /sibyl_event_loop_delay_seconds\{quantile="0.5"\} ([\d.e-]+)/.exec(await exposition())?.[1];
    expect(Number(value)).toBeGreaterThanOrEqual(0);
  });

  it('are JSON too, for the aggregation of workers', async () => {
    metrics.predictions.of('m', '1').succeed(0.1);
    const json = await metrics.registry.getMetricsAsJSON();
    expect(json.find(({ name }) => name === 'sibyl_predictions_total')).toMatchObject({
      type: 'counter',
      aggregator: 'sum',
    });
  });
});
