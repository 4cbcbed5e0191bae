export * from './fleet-gauges.ts';
export { createLogger, type Logger, type LogLevel } from './logger.ts';
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
