/** Hot path. See docs/paths/predict.md. */
import type { Registry } from 'prom-client';
import { CollectedMetric, histogramSamples } from './collected-metric';
import { FixedHistogram } from './fixed-histogram';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** The counters of one route and method. The hot handler keeps them, everything else looks them up. */
export class RouteMetrics {
  readonly duration = new FixedHistogram();
  readonly statuses = new Map<number, number>();

  constructor(
    readonly route: string,
    readonly method: string,
  ) {}

  record(status: number, seconds: number): void {
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    this.duration.observe(seconds);
  }
}

/** `sibyl_http_requests_total{route,method,status}` and `sibyl_http_request_duration_seconds{route,method}`. */
export class HttpMetrics {
  private readonly routes = new Map<string, RouteMetrics>();

  constructor(registry: Registry) {
    new CollectedMetric(
      { name: 'sibyl_http_requests_total', help: 'HTTP requests by route, method and status', type: 'counter' },
      () =>
        [...this.routes.values()].flatMap(({ route, method, statuses }) =>
          Array.from(statuses, ([status, value]) => ({ labels: { route, method, status }, value })),
        ),
    ).registerIn(registry);
    const name = 'sibyl_http_request_duration_seconds';
    new CollectedMetric(
      { name, help: 'Time from the first byte of a request to the end of its answer', type: 'histogram' },
      () =>
        [...this.routes.values()].flatMap(({ route, method, duration }) =>
          histogramSamples(name, { route, method }, duration),
        ),
    ).registerIn(registry);
  }

  /** `route` is the pattern of a route, never a path; undefined where no route took the request. */
  of(route: string | undefined, method: string): RouteMetrics {
    const pattern = route ?? 'unmatched';
    const verb = METHODS.has(method) ? method : 'OTHER';
    const key = `${verb} ${pattern}`;
    const known = this.routes.get(key);
    if (known) return known;
    const made = new RouteMetrics(pattern, verb);
    this.routes.set(key, made);
    return made;
  }
}
