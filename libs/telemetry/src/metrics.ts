import { Registry } from 'prom-client';
import { EventLoopDelay } from './event-loop-delay';
import { FeatureMetrics } from './feature-metrics';
import { HttpMetrics } from './http-metrics';
import { PredictionMetrics } from './prediction-metrics';
import { ServerMetrics } from './server-metrics';

/** Every metric of a process, declared once. A registry of its own, so that two servers can live in one test process. */
export class Metrics {
  readonly registry = new Registry();
  readonly http = new HttpMetrics(this.registry);
  readonly predictions = new PredictionMetrics(this.registry);
  readonly features = new FeatureMetrics(this.registry);
  readonly server = new ServerMetrics(this.registry);
  private readonly eventLoopDelay = new EventLoopDelay(this.registry);

  close(): void {
    this.eventLoopDelay.stop();
  }
}
