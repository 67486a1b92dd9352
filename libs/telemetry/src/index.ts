export { TelemetryOptions, LOG_LEVELS, type LogLevel } from './telemetry-options';
export { createLogger, type Logger } from './logger';
export { Metrics } from './metrics';
export { MetricsSum, type MetricReading } from './metrics-sum';
export { VersionMetrics, type PredictionMetrics, type Stage } from './prediction-metrics';
export type { FeatureMetrics } from './feature-metrics';
export type { HttpMetrics, RouteMetrics } from './http-metrics';
export type { ModelReading, Readings, ServerMetrics } from './server-metrics';
