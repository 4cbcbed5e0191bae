import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { z } from 'zod';

const Attribute = z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) });
const WireSpan = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().optional(),
  name: z.string(),
  kind: z.number(),
  startTimeUnixNano: z.string(),
  endTimeUnixNano: z.string(),
  attributes: z.array(Attribute).default([]),
  status: z.object({ code: z.number().optional() }).default({}),
});
const Export = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: z.array(Attribute).default([]) }),
      scopeSpans: z.array(z.object({ spans: z.array(WireSpan) })),
    }),
  ),
});

export type CollectedSpan = {
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string | undefined;
  readonly name: string;
  /** `service.name` of the process that made it. */
  readonly service: string;
  readonly ms: number;
  readonly failed: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
};

const ERROR = 2;

/** Where traces go in tests: OTLP over HTTP on loopback, as any collector takes it. Keeps everything, also as it came. */
export class OtlpCollector implements AsyncDisposable {
  readonly spans: CollectedSpan[] = [];
  /** The bodies as they came: for who looks for what must not be in them. */
  readonly bodies: string[] = [];
  readonly #server: Server;
  readonly #lookers = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<OtlpCollector> {
    const server = createServer();
    const collector = new OtlpCollector(server);
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        if (request.method === 'POST' && request.url === '/v1/traces') collector.#take(Buffer.concat(parts).toString());
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return collector;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`; // safe: it listens on a port
  }

  /** The spans of one trace once they include what is looked for; rejects with the signal's reason. */
  async until(fits: (spans: readonly CollectedSpan[]) => boolean, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = (): void => {
      if (fits(this.spans)) resolve();
    };
    const late = (): void => reject(new Error(`seen: ${this.spans.map(({ name }) => name).join(', ')}`));
    this.#lookers.add(look);
    signal.addEventListener('abort', late);
    look();
    try {
      await promise;
    } finally {
      this.#lookers.delete(look);
      signal.removeEventListener('abort', late);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #take(body: string): void {
    this.bodies.push(body);
    for (const { resource, scopeSpans } of Export.parse(JSON.parse(body)).resourceSpans) {
      const service = String(plain(resource.attributes)['service.name']);
      for (const span of scopeSpans.flatMap(({ spans }) => spans)) {
        const { traceId, spanId: id, parentSpanId, name, attributes, status } = span;
        this.spans.push({
          traceId,
          id,
          parentId: parentSpanId === '' ? undefined : parentSpanId,
          name,
          service,
          ms: Number((BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1_000n) / 1_000,
          failed: status.code === ERROR,
          attributes: plain(attributes),
        });
      }
    }
    for (const look of this.#lookers) look();
  }
}

/** `{ key, value: { intValue: 3 } }` → `{ key: 3 }` */
function plain(attributes: readonly z.infer<typeof Attribute>[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
