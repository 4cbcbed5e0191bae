import type { BullMQOtel } from 'bullmq-otel';

export type Tracing = {
  /** BullMQ's `telemetry` option; absent when nothing is traced. */
  readonly bullmq: BullMQOtel | undefined;
  /** Hands over what waits, within 3 s; then nothing is traced any more. May be called twice. */
  close(): Promise<void>;
};

export type TracingOptions = {
  /** OTLP over HTTP, without `/v1/traces`. Undefined: nothing is traced, and none of the SDK is loaded. */
  readonly endpoint: string | undefined;
  /** `service.name` is `tavus-fleet-<service>`. */
  readonly service: string;
  readonly version: string;
  /** `service.instance.id`: which process it was. */
  readonly instanceId: string;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
};

const EXPORT_EVERY_MS = 1_000;
const EXPORT_MS = 5_000;
const CLOSE_MS = 3_000;

/**
 * Turns tracing on for this process. Called by a main.ts, once: OpenTelemetry's API keeps its tracer, context and propagator per
 * process, and BullMQ's hook finds them there. `OTEL_EXPORTER_OTLP_HEADERS` (a collector's key) is read by the exporter itself.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  if (options.endpoint === undefined) return { bullmq: undefined, close: () => Promise.resolve() };
  const { context, propagation, trace } = await import('@opentelemetry/api');
  const { W3CTraceContextPropagator } = await import('@opentelemetry/core');
  const { AsyncLocalStorageContextManager } = await import('@opentelemetry/context-async-hooks');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { BatchSpanProcessor, ParentBasedSampler, TracerProvider } = await import('@opentelemetry/sdk-trace');
  const { BullMQOtel } = await import('bullmq-otel');
  const { asked } = await import('./sampler.ts');
  const { ScrubbedExporter } = await import('./scrubbed-exporter.ts');

  const exporter = new OTLPTraceExporter({
    url: `${options.endpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_MS,
  });
  const scrubbed = new ScrubbedExporter(exporter, (reachable) => {
    if (reachable) options.log.info({}, 'traces are taken again');
    else options.log.warn({}, 'traces are not taken; those of this time are lost');
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': `tavus-fleet-${options.service}`,
      'service.version': options.version,
      'service.instance.id': options.instanceId,
    }),
    sampler: new ParentBasedSampler({ root: asked }),
    // Its queue (2 048 spans) is the bound: what does not fit while the collector is away is dropped.
    spanProcessors: [new BatchSpanProcessor({ exporter: scrubbed, scheduledDelayMillis: EXPORT_EVERY_MS })],
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, CLOSE_MS);
    await Promise.race([provider.shutdown().catch(() => undefined), promise]);
    clearTimeout(timer);
    trace.disable();
    context.disable();
    propagation.disable();
  };
  return {
    bullmq: new BullMQOtel(),
    close: () => (closing ??= close()),
  };
}
