import {
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span,
} from '@opentelemetry/api';

/**
 * Spans of the product's code. Nothing here needs the SDK: without `startTracing` every span is a no-op and no traceparent exists.
 * A trace crosses processes as W3C `traceparent`: in HTTP, in a job's telemetry metadata, in the record.
 */
export type SpanOptions = {
  readonly kind?: 'internal' | 'client' | 'consumer';
  readonly attributes?: Attributes;
  /** Where it belongs when nothing is being traced around us: a `traceparent`. Nonsense begins a new trace. */
  readonly parent?: string | undefined;
};

const kinds = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
} as const;

const tracer = (): ReturnType<typeof trace.getTracer> => trace.getTracer('tavus-fleet');

/** Runs the work inside a span: spans made meanwhile, also after awaits, are its children. A failure is said by its code, never by its message. */
export function traced<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
  const { kind = 'internal', attributes = {} } = options;
  const active = context.active();
  const above = trace.getSpanContext(active) ? active : contextOf(options.parent);
  return tracer().startActiveSpan(name, { kind: kinds[kind], attributes }, above, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      failed(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** A span that others end: a request, of which the server tells when its handler runs and when its answer is out. */
export type ServerSpan = {
  /** Runs the work as part of it. */
  within(work: () => void): void;
  /** With an `error.type` among the attributes it ends as failed. */
  end(attributes: Attributes): void;
};

/** A request that begins here, in the trace of whoever sent it or, without a `traceparent`, in a new one. */
export function serverSpan(name: string, attributes: Attributes, traceparent: string | undefined): ServerSpan {
  const above = contextOf(traceparent);
  const span = tracer().startSpan(name, { kind: SpanKind.SERVER, attributes }, above);
  return {
    within: (work) => context.with(trace.setSpan(above, span), work),
    end(last) {
      span.setAttributes(last);
      if ('error.type' in last) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

/** What took `ms` until now, told afterwards. Only as part of a trace: housekeeping begins none. */
export function tookPlace(name: string, ms: number, attributes: Attributes): void {
  if (!trace.getSpan(context.active())) return;
  const now = Date.now();
  tracer()
    .startSpan(name, { kind: SpanKind.CLIENT, attributes, startTime: now - ms })
    .end(now);
}

/** `error.type` is our code or the error's class: messages of others may hold a room's address. */
function failed(span: Span, error: unknown): void {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  const type = typeof code === 'string' ? code : error instanceof Error ? error.constructor.name : 'unknown';
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute('error.type', type);
}

/** The trace around us, as it is written into a record or a header. Undefined when nothing is traced. */
export function currentTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {};
  propagation.inject(context.active(), carrier);
  return carrier.traceparent;
}

/** Runs the work as part of that trace; without one, as part of the trace around us. */
export function inTrace<T>(traceparent: string | undefined, work: () => T): T {
  return traceparent === undefined ? work() : context.with(contextOf(traceparent), work);
}

/** Of a job: what BullMQ's telemetry hook wrote beside it. Any backend may have written it, so nonsense counts as nothing. */
export function traceparentOf(metadata: unknown): string | undefined {
  if (typeof metadata !== 'string' || metadata.length > 2_048) return undefined;
  try {
    const carrier: unknown = JSON.parse(metadata);
    if (typeof carrier !== 'object' || carrier === null || !('traceparent' in carrier)) return undefined;
    return typeof carrier.traceparent === 'string' ? carrier.traceparent : undefined;
  } catch {
    return undefined;
  }
}

function contextOf(traceparent: string | undefined): Context {
  return traceparent === undefined ? ROOT_CONTEXT : propagation.extract(ROOT_CONTEXT, { traceparent });
}
