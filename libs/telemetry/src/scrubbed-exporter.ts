import type { Attributes } from '@opentelemetry/api';
import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { redact, scrubText } from './redact.ts';

/**
 * Spans leave the process as log lines do: scrubbed in one place, whoever made them. BullMQ's hook, for one, records the messages
 * of errors. Says once when the collector does not take them and once when it does again; the spans of that time are lost.
 */
export class ScrubbedExporter implements SpanExporter {
  readonly #exporter: SpanExporter;
  readonly #onReachable: (reachable: boolean) => void;
  #reachable = true;

  constructor(exporter: SpanExporter, onReachable: (reachable: boolean) => void) {
    this.#exporter = exporter;
    this.#onReachable = onReachable;
  }

  export(spans: ReadableSpan[], told: (result: ExportResult) => void): void {
    this.#exporter.export(spans.map(scrubbed), (result) => {
      const reachable = result.code === ExportResultCode.SUCCESS;
      if (reachable !== this.#reachable) this.#onReachable(reachable);
      this.#reachable = reachable;
      told(result);
    });
  }

  async forceFlush(): Promise<void> {
    await this.#exporter.forceFlush?.();
  }

  shutdown(): Promise<void> {
    return this.#exporter.shutdown();
  }
}

/** A view of the span: its getters and methods stay, what may hold free text is replaced. */
function scrubbed(span: ReadableSpan): ReadableSpan {
  const { code, message } = span.status;
  const replaced: Pick<ReadableSpan, 'name' | 'attributes' | 'events' | 'status'> = {
    name: scrubText(span.name),
    attributes: safe(span.attributes),
    events: span.events.map((event) => ({
      ...event,
      ...(event.attributes === undefined ? {} : { attributes: safe(event.attributes) }),
    })),
    status: message === undefined ? { code } : { code, message: scrubText(message) },
  };
  return Object.create(span, Object.getOwnPropertyDescriptors(replaced)) as ReadableSpan; // safe: the span with four of its own fields shadowed
}

function safe(attributes: Attributes): Attributes {
  return redact(attributes);
}
