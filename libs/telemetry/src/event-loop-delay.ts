import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import { CollectedMetric } from './collected-metric';

/** How often the loop is looked at; the timer itself costs nothing measurable at this rate. */
const RESOLUTION_MS = 10;
const NANOSECONDS = 1e9;

/** `sibyl_event_loop_delay_seconds{quantile}`: how late timers fired since the last scrape. */
export class EventLoopDelay {
  private readonly histogram: IntervalHistogram;

  constructor(registry: Registry) {
    this.histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    this.histogram.enable();
    new CollectedMetric(
      {
        name: 'sibyl_event_loop_delay_seconds',
        help: 'How late the event loop ran its timers since the last scrape, by quantile',
        type: 'gauge',
        aggregator: 'max',
      },
      () => this.read(),
    ).registerIn(registry);
  }

  stop(): void {
    this.histogram.disable();
  }

  private read(): { labels: { quantile: string }; value: number }[] {
    const seen = this.histogram.count > 0;
    const samples = [0.5, 0.9, 0.99, 1].map((quantile) => ({
      labels: { quantile: String(quantile) },
      value: seen ? lateness(this.histogram.percentile(quantile * 100)) : 0,
    }));
    this.histogram.reset();
    return samples;
  }
}

// The histogram holds the whole time between two looks; the interval that was asked for is no delay.
function lateness(nanoseconds: number): number {
  return Math.max(0, nanoseconds / NANOSECONDS - RESOLUTION_MS / 1000);
}
