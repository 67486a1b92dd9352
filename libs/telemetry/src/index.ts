export { TelemetryOptions, LOG_LEVELS, type LogLevel } from './telemetry-options';
export { createLogger, type Logger } from './logger';
export { errorFields } from './log-fields';
export { redact } from './redaction';
export { Metrics } from './metrics';
export { PredictionMetrics, VersionMetrics, STAGES, type Stage } from './prediction-metrics';
export { HttpMetrics, RouteMetrics } from './http-metrics';
export { ServerMetrics, type ModelReading, type Readings } from './server-metrics';
export { FixedHistogram, DURATION_BUCKETS } from './fixed-histogram';
