export * from './fleet-gauges.ts';
export { createLogger, logLastWords, type Logger, type LogLevel } from './logger.ts';
export {
  createMetrics,
  slotStates,
  type DropReason,
  type MetricName,
  type Metrics,
  type SlotState,
  type TavusRoute,
} from './metrics.ts';
export { summaryLine, type SessionSummary } from './summary.ts';
export {
  currentTraceparent,
  inTrace,
  serverSpan,
  traced,
  traceparentOf,
  type ServerSpan,
  type SpanOptions,
} from './spans.ts';
export { tavusRequestMeter } from './tavus-requests.ts';
export { startTracing, type Tracing, type TracingOptions } from './tracing.ts';
